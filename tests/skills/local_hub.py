"""A hub on this machine that speaks as much of the model hub's API as one repository, me/cells, needs."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "hf_test"
REPOSITORY = "me/cells"


class LocalHub(ThreadingHTTPServer):
    """files: what the repository holds, by name; it is there from the first file on."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, bytes] = {}
        self.address = f"http://127.0.0.1:{self.server_address[1]}"

    @property
    def revision(self) -> str:
        """Of all that the repository holds."""
        return hashlib.sha1(repr(sorted(self.files.items())).encode()).hexdigest()

    def committed(self, lines: list[dict[str, Any]]) -> dict[str, Any]:
        """The answer to a commit, which is as lines of JSON."""
        rows = (line["value"] for line in lines if line["key"] == "file")
        self.files.update({row["path"]: base64.b64decode(row["content"]) for row in rows})
        return {"commitUrl": f"{self.address}/{REPOSITORY}/commit/{self.revision}", "commitOid": self.revision}

    def told(self, path: str) -> Any:
        """The answer to a question about the repository: all of it, or its list of files."""
        if "/tree/" in path:
            return [{"type": "file", "path": n, "size": len(d), "oid": _etag(d)} for n, d in self.files.items()]
        siblings = [{"rfilename": name} for name in self.files]
        return {"id": REPOSITORY, "modelId": REPOSITORY, "sha": self.revision, "siblings": siblings}


def _etag(data: bytes) -> str:
    return hashlib.sha1(data).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    server: LocalHub

    def log_message(self, *_: object) -> None:
        """Nothing is logged."""

    def answer(self, body: Any, code: int = 200, **headers: str) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(code)
        for name, value in {"Content-Length": str(len(data)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def do_POST(self) -> None:
        lines = [json.loads(line) for line in self.rfile.read(int(self.headers["Content-Length"])).splitlines()]
        if self.headers["Authorization"] != f"Bearer {TOKEN}":
            self.answer({"error": "who are you"}, 401)
        elif self.path.endswith("/preupload/main"):
            names = [file["path"] for file in lines[0]["files"]]
            self.answer({"files": [{"path": n, "uploadMode": "regular", "shouldIgnore": False} for n in names]})
        elif self.path.endswith("/commit/main"):
            self.answer(self.server.committed(lines))
        else:
            self.answer({"url": f"{self.server.address}/{REPOSITORY}"})

    def do_GET(self) -> None:
        files, name = self.server.files, self.path.rpartition("/")[2]
        if "/resolve/" in self.path and name in files:
            self.answer(files[name], ETag=f'"{_etag(files[name])}"', X_Repo_Commit=self.server.revision)
        elif self.path.startswith(f"/api/models/{REPOSITORY}") and files:
            self.answer(self.server.told(self.path))
        else:
            self.answer({"error": "Repository not found"}, 404, X_Error_Code="RepoNotFound")

    do_HEAD = do_GET


@contextmanager
def local_hub() -> Iterator[LocalHub]:
    """A hub that is there within the block."""
    hub = LocalHub()
    threading.Thread(target=hub.serve_forever, daemon=True).start()
    try:
        yield hub
    finally:
        hub.shutdown()
        hub.server_close()
