"""A base by its name on the model hub."""

from __future__ import annotations

from pathlib import Path

from fiducial.tools.errors import InputError

WANTED = ("*.json", "*.safetensors", "*.jinja", "*.txt", "*.model")  # no pickles, no code


def hub_folder(name: str) -> Path:
    """The folder of a hub model: from the cache where it is complete there, else downloaded by the hub's own library.

    Raises InputError for a name that is neither in the cache nor to be had.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        return Path(snapshot_download(name, allow_patterns=list(WANTED), local_files_only=True))
    except HFValidationError as error:
        raise InputError(f"'{name}' is no name on the model hub ({error}); give owner/name") from None
    except OSError:
        pass  # not in the cache
    try:
        return Path(snapshot_download(name, allow_patterns=list(WANTED)))
    except (OSError, HfHubHTTPError) as error:
        why = str(error).partition("\n")[0]
        raise InputError(
            f"unknown base '{name}': no folder of that name, and the model hub does not give it ({why});"
            " give a path, or fetch it while there is a connection"
        ) from None
