"""``fiducial adapters``: what a folder of adapters holds, put into it or taken out of it, pushed and pulled."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fiducial.agent.commands.terminal import command_group, stdout_for_results
from fiducial.tools.errors import InputError

adapters_app = command_group("The adapters of a base, each for one skill or several.")
Name = Annotated[str, typer.Argument(help="The adapter's name, as adapters list prints it.")]
Adapters = Annotated[Path | None, typer.Option(help="A folder of adapters, in place of the package's own.")]
To = Annotated[Path | None, typer.Option(help="The folder of adapters; beside --base by default.")]
Base = Annotated[Path | None, typer.Option(help="The folder of the base that it must have been trained on.")]
Force = Annotated[bool, typer.Option("--force", help="Replace an adapter of the same name.")]
HubName = Annotated[str, typer.Argument(help="The name on the model hub, owner/name.")]


def adapter_paths(folder: Path | None) -> dict[str, Path]:
    """Each adapter's folder by its name; the package's own by default. Raises InputError where there is none."""
    from fiducial.skills.adapters import adapter_folders
    from fiducial.skills.load import embedded_folder

    root = folder or embedded_folder() / "adapters"
    found = adapter_folders(root)
    if not found:
        raise InputError(f"{root} holds no adapter (a folder with a manifest.json); name one with --adapters")
    return found


def adapter_path(name: str, folder: Path | None) -> Path:
    """One adapter's folder. Raises InputError that names what there is."""
    found = adapter_paths(folder)
    if name not in found:
        raise InputError(f"unknown adapter '{name}'; there is: {', '.join(found)}")
    return found[name]


def _beside(to: Path | None, base: Path | None) -> Path:
    if to is None and base is None:
        raise InputError("say where the adapter goes: --to FOLDER, or --base FOLDER for the adapters beside that base")
    return to or base.resolve().parent / "adapters"  # type: ignore[union-attr]


@adapters_app.command("list")
def adapters_list(adapters: Adapters = None) -> None:
    """Print each adapter's name, base, and its skills where it has not the name of the one it serves."""
    from fiducial.skills.adapters import read_manifest

    for name, path in adapter_paths(adapters).items():
        manifest = read_manifest(path)
        serves = "" if manifest.skills == (name,) else f"  for {', '.join(manifest.skills)}"
        print(f"{name:12}  {manifest.base}{serves}")


@adapters_app.command("show")
def adapters_show(name: Name, adapters: Adapters = None) -> None:
    """Print an adapter's manifest: skills, base, dialect, data, metrics, versions."""
    from fiducial.skills.adapters import read_manifest

    print(read_manifest(adapter_path(name, adapters)).model_dump_json(indent=2))


@adapters_app.command("add")
def adapters_add(
    source: Annotated[str, typer.Argument(help="An adapter's folder, or owner/name on the model hub.")],
    to: To = None,
    base: Base = None,
    force: Force = False,
) -> None:
    """Copy an adapter into a folder of adapters, once it is complete, safetensors, and fits its configuration."""
    from fiducial.skills.load import HUB_NAME

    path = Path(source).expanduser()
    if not path.exists() and HUB_NAME.fullmatch(source):
        adapters_pull(source, to, base, force)
        return
    from fiducial.skills.adapter_files import add_adapter

    print(add_adapter(path, _beside(to, base), base, force))


@adapters_app.command("remove")
def adapters_remove(
    name: Name,
    folder: Annotated[Path, typer.Option("--from", help="The folder of adapters.")],
    yes: Annotated[bool, typer.Option("--yes", help="Remove its files for good.")] = False,
) -> None:
    """Remove an adapter, its weights and all, from a folder of adapters."""
    from fiducial.skills.adapter_files import remove_adapter

    path = adapter_path(name, folder)
    if not yes:
        raise InputError(f"this would remove {path} with its weights for good; say --yes to do so")
    remove_adapter(name, folder)


@adapters_app.command("push")
def adapters_push(
    name: Name,
    repository: HubName,
    adapters: Adapters = None,
    private: Annotated[bool, typer.Option("--private", help="Only you may see a repository that this makes.")] = False,
) -> None:
    """Put a checked adapter on the model hub, with the token of the hub's own login."""
    with stdout_for_results():
        from fiducial.skills.adapter_files import ADAPTER_FILES, check_adapter
        from fiducial.skills.families.hub.download import push_folder

        path = adapter_path(name, adapters)
        check_adapter(path)
        address = push_folder(path, repository, ADAPTER_FILES, private)
    print(address)


@adapters_app.command("pull")
def adapters_pull(repository: HubName, to: To = None, base: Base = None, force: Force = False) -> None:
    """Take an adapter from the model hub, check it, and put it into a folder of adapters."""
    folder = _beside(to, base)
    with stdout_for_results():
        from fiducial.skills.adapter_files import ADAPTER_FILES, add_adapter
        from fiducial.skills.families.hub.download import pull_folder

        pulled = pull_folder(repository, ADAPTER_FILES)
        path = add_adapter(pulled, folder, base, force, name=repository.rpartition("/")[2])
    print(path)
