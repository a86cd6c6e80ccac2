"""An OpenAI-compatible server as a model: ``--base http://host:port/v1``, with names after a ``#``.

    http://localhost:8000/v1                        the first model that the server lists
    http://localhost:8000/v1#qwen                   this model
    http://localhost:8000/v1#qwen,count=qwen-count  and for a skill this one: servers of several LoRA adapters name an
                                                    adapter as a model

Coordinates are asked for in 0–1000 of the image, so that the server's own resize need not be known. A key, where the
server wants one, is taken from the environment variable FIDUCIAL_SERVER_KEY and is kept nowhere.
"""

from __future__ import annotations

import base64
import io
import json
import math
import os
import urllib.error
import urllib.request
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel

from fiducial.skills.base import ALL_SKILLS, DomainEvidence, Model
from fiducial.skills.families.asking import Asked, perform
from fiducial.skills.families.dialects import Dialect, dialect
from fiducial.skills.families.guide import Guide
from fiducial.skills.families.view import Window, shown, told_slices, view_of
from fiducial.skills.targets import Query
from fiducial.skills.templates import fill
from fiducial.tools.errors import InputError, TransientError
from fiducial.tools.frames import FrameMap2D, resize_map
from fiducial.tools.hooks import FamilySpec
from fiducial.tools.record import Scale

if TYPE_CHECKING:
    from fiducial.skills.stack import Stack
    from fiducial.tools.images.image import Image

DIALECT = "openai-compatible"
TIMEOUT_S = 120
MAX_BYTES = 16 * 1024 * 1024
MAX_TOKENS = 1024
UNKNOWN_CONFIDENCE = 0.5  # of a server that gives no probabilities: neither sure nor unsure
TRANSIENT_CODES = {408, 425, 429, 500, 502, 503, 504}
BAD_REQUEST_CODES = {400, 422}


class BadRequestError(InputError):
    """The server does not take the request as it is written (400, 422)."""


@dataclass(frozen=True)
class Client:
    """Speaks to one server. url: without a slash at its end."""

    url: str

    def call(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """GET, or POST of a JSON body. TransientError where another attempt may help, else InputError."""
        key = os.environ.get("FIDUCIAL_SERVER_KEY")
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"})
        if key:
            request.add_unredirected_header("Authorization", f"Bearer {key}")  # it is for this server and no other
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response:
                text = response.read(MAX_BYTES + 1)
        except urllib.error.HTTPError as error:
            kind = TransientError if error.code in TRANSIENT_CODES else InputError
            kind = BadRequestError if error.code in BAD_REQUEST_CODES else kind
            raise kind(f"the server {self.url} answers {error.code} to {path}: {_said(error)}") from None
        except TimeoutError:
            raise TransientError(f"the server {self.url} does not answer within {TIMEOUT_S} s") from None
        except (urllib.error.URLError, OSError, ValueError) as error:
            raise InputError(
                f"the server {self.url} cannot be reached ({_reason(error)}); start it or correct --base"
            ) from None
        return _json_object(text, self.url)

    def models(self) -> list[str]:
        """The names of the models (and adapters) that the server offers."""
        rows = self.call("/models").get("data")
        return (
            [str(row["id"]) for row in rows if isinstance(row, dict) and "id" in row] if isinstance(rows, list) else []
        )


def _said(error: urllib.error.HTTPError) -> str:
    return " ".join(error.read(300).decode("utf-8", "replace").split()) or str(error.reason)


def _reason(error: Exception) -> str:
    return str(getattr(error, "reason", error))


def _json_object(text: bytes, url: str) -> dict[str, Any]:
    try:
        if len(text) > MAX_BYTES:
            raise ValueError("more than 16 MiB")
        answer = json.loads(text)
        if not isinstance(answer, dict):
            raise ValueError("no JSON object")
    except (ValueError, RecursionError) as error:
        raise TransientError(f"the server {url} answers with something else than JSON ({error})") from None
    return answer


@dataclass(frozen=True)
class ServerModel:
    """A model behind a server. adapters: the name to ask, by skill; guide: in the embedded model's place."""

    client: Client
    model: str
    adapters: dict[str, str] = field(default_factory=dict)
    guide: Model | None = None

    skills: ClassVar[frozenset[str]] = ALL_SKILLS

    @property
    def name(self) -> str:
        """Family and the model's own name; not the address."""
        return f"server:{self.model}"

    def open(self, image: Image) -> ServerSession:
        """A session on one image."""
        return ServerSession(self, image)

    def open_volume(self, stack: Stack) -> ServerSession:
        """A session on some slices of a volume."""
        return ServerSession(self, stack.middle, stack=stack)


class ServerSession:
    """One image, sent with every question: whether it is encoded once is the server's affair."""

    def __init__(
        self,
        model: ServerModel,
        image: Image,
        window_xyxy_px: Sequence[float] | None = None,
        stack: Stack | None = None,
    ) -> None:
        self.model, self.image, self.window_xyxy_px, self.stack = model, image, window_xyxy_px, stack
        self.guide = Guide(image, model.guide)
        self.takes_logprobs = True

    @cached_property
    def view(self) -> Window:
        """The pixels sent, and the map to them from stored pixels."""
        return view_of(self.image, self.window_xyxy_px)

    @cached_property
    def stored_to_input(self) -> FrameMap2D:
        """From stored pixels to the pixels sent; the server's resize keeps shares of the image as they are."""
        height, width = self.view.rgb_u8.shape[:2]
        return self.view.stored_to_view.then(resize_map(width, height, width, height))

    @cached_property
    def _pictures(self) -> list[dict[str, Any]]:
        """What is shown, as PNG in data addresses: pixels alone, no header of the file."""
        from PIL import Image as PILImage

        parts = []
        for rgb_u8 in shown(self.view, self.stack):
            file = io.BytesIO()
            PILImage.fromarray(rgb_u8.copy()).save(file, "PNG")
            address = "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
            parts.append({"type": "image_url", "image_url": {"url": address}})
        return parts

    @property
    def domain(self) -> DomainEvidence:
        """What kind of image this is, as the embedded model sees it."""
        return self.guide.domain

    @property
    def scale(self) -> Scale | None:
        """Of the stored pixels."""
        return self.image.info.scale

    @property
    def adapters(self) -> Collection[str]:
        """The skills that a model is named for."""
        return self.model.adapters

    def dialect(self, skill: str) -> Dialect:
        """JSON as the prompt asks for."""
        return dialect(DIALECT)

    def ask(self, skill: str, query: Query, seed: int | None = None) -> Asked:
        """One chat completion."""
        spoken = self.dialect(skill)
        query = told_slices(query, self.stack)
        prompt = fill(spoken.templates, query, self.stored_to_input)
        content = [*self._pictures, {"type": "text", "text": prompt}]
        body: dict[str, Any] = {
            "model": self.model.adapters.get(skill, self.model.model),
            "messages": [{"role": "user", "content": content}],
            "max_tokens": MAX_TOKENS,
            "temperature": 0.0 if seed is None else 0.7,
        }
        if seed is not None:
            body["seed"] = seed
        text, confidence = _completion(self._complete(body), self.model.client.url)
        return Asked(text, spoken.parse(query, text, self.stored_to_input), confidence)

    def _complete(self, body: dict[str, Any]) -> dict[str, Any]:
        """The server's answer, with probabilities unless it refuses a request for them: then, and after, without."""
        if self.takes_logprobs:
            try:
                return self.model.client.call("/chat/completions", body | {"logprobs": True})
            except BadRequestError:
                answer = self.model.client.call("/chat/completions", body)
                self.takes_logprobs = False
                return answer
        return self.model.client.call("/chat/completions", body)

    def perform(self, skill: str, args: BaseModel) -> BaseModel:
        """Perform one skill by a prompt."""
        return perform(self, skill, args)

    def zoom(self, box_xyxy_px: Sequence[float]) -> ServerSession:
        """A session on a crop (stored pixels) of the same image."""
        return ServerSession(self.model, self.image, view_of(self.image, None, box_xyxy_px).window_xyxy_px)


def _completion(answer: dict[str, Any], url: str) -> tuple[str, float]:
    """Text of a chat completion, and the geometric mean of its tokens' probabilities where the server gives them."""
    try:
        choice = answer["choices"][0]
        text = choice["message"]["content"]
    except (KeyError, IndexError, TypeError):
        raise TransientError(f"the server {url} answers without a message") from None
    tokens = (choice.get("logprobs") or {}).get("content") if isinstance(choice.get("logprobs"), dict) else None
    given = [t.get("logprob") for t in tokens if isinstance(t, dict)] if isinstance(tokens, list) else []
    logs = [float(v) for v in given if isinstance(v, int | float) and math.isfinite(v) and v <= 0]
    confidence = math.exp(sum(logs) / len(logs)) if logs else UNKNOWN_CONFIDENCE
    return text if isinstance(text, str) else "", confidence


def recognises(base: Any) -> bool:
    """An address."""
    return isinstance(base, str) and base.startswith(("http://", "https://"))


def load(base: str, adapters: Path | None = None) -> ServerModel:
    """A server's model, which must be one that the server lists. Raises InputError that names those it lists."""
    if adapters is not None:
        raise InputError(
            "a server has its adapters itself; leave out --adapters and write #MODEL,SKILL=ADAPTER in --base"
        )
    url, _, names = base.partition("#")
    client = Client(url.rstrip("/"))
    listed = client.models()
    first, *pairs = [part.strip() for part in names.split(",")]
    by_skill = dict(pair.split("=", 1) for pair in pairs if "=" in pair)
    model = first or (listed[0] if listed else "")
    if unknown := [name for name in (model, *by_skill.values()) if listed and name not in listed]:
        raise InputError(f"the server {client.url} has no model '{unknown[0]}'; it has: {', '.join(listed)}")
    if not model:
        raise InputError(f"the server {client.url} lists no model; name one: --base {client.url}#MODEL")
    return ServerModel(client, model, by_skill)


SERVER = FamilySpec(
    name="server",
    description="An OpenAI-compatible server, given as --base http://host:port/v1#MODEL,SKILL=ADAPTER",
    recognises=recognises,
    load=load,
)
