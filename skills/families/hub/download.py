"""Folders on the model hub, by its own library: a base by its name; an adapter pushed and pulled."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fiducial.tools.errors import InputError

WANTED = ("*.json", "*.safetensors", "*.jinja", "*.txt", "*.model")  # no pickles, no code


def hub_folder(name: str) -> Path:
    """The folder of a hub model: from the cache where it is complete there, else downloaded by the hub's own library.

    Raises InputError for a name that is neither in the cache nor to be had.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError

    try:
        return Path(snapshot_download(name, allow_patterns=list(WANTED), local_files_only=True))
    except HFValidationError as error:
        raise _no_name(name, error) from None
    except OSError:
        pass  # not in the cache
    try:
        return _downloaded(name, WANTED)
    except OSError as error:
        raise InputError(
            f"unknown base '{name}': no folder of that name, and the model hub does not give it ({_first_line(error)});"
            " give a path, or fetch it while there is a connection"
        ) from None


def pull_folder(name: str, wanted: Sequence[str]) -> Path:
    """The folder of the newest revision of a repository, the wanted files alone (patterns). InputError for none."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HFValidationError

    try:  # the revision first: with the hub out of reach, an older one in the cache would be taken without a word
        return _downloaded(name, wanted, HfApi().repo_info(name).sha)
    except HFValidationError as error:
        raise _no_name(name, error) from None
    except (OSError, _http_error()) as error:
        why = _first_line(error)
        raise InputError(f"the model hub does not give '{name}' ({why}); see to the name and the connection") from None


def push_folder(folder: Path, name: str, wanted: Sequence[str], private: bool) -> str:
    """Upload the wanted files of a folder to a repository, made where there is none; returns its address.

    The token is that of the library's own login. Raises InputError where the hub is out of reach or refuses.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HFValidationError

    api = HfApi()
    try:
        address = str(api.create_repo(name, private=private, exist_ok=True))
        api.upload_folder(folder_path=folder, repo_id=name, allow_patterns=list(wanted))
    except HFValidationError as error:
        raise _no_name(name, error) from None
    except (OSError, _http_error()) as error:
        raise InputError(
            f"the model hub does not take '{name}' ({_first_line(error)}); log in with: hf auth login, and see to the"
            " name and the connection"
        ) from None
    return address


def _downloaded(name: str, wanted: Sequence[str], revision: str | None = None) -> Path:
    from huggingface_hub import snapshot_download

    return Path(snapshot_download(name, revision=revision, allow_patterns=list(wanted)))


def _http_error() -> type[Exception]:
    """What the library's HTTP client raises where it reaches nobody; which client, depends on the library's version."""
    from huggingface_hub.errors import HfHubHTTPError

    return next(kind for kind in HfHubHTTPError.__mro__[1:] if kind.__name__ in ("HTTPError", "OSError"))


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).partition("\n")[0].rstrip(".")


def _no_name(name: str, error: BaseException) -> InputError:
    return InputError(f"'{name}' is no name on the model hub ({_first_line(error)}); give owner/name")
