"""What a person types. Results go to stdout, all else to stderr; each command imports what it needs.

Exit codes: 0 answered or partial, 3 abstained, 2 unusable input or arguments, 1 a defect of ours, 130 interrupted.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from fiducial.agent.commands.adapters import adapters_app
from fiducial.agent.commands.data_sets import add_data_set_commands
from fiducial.agent.commands.derive import add_derive_command
from fiducial.agent.commands.images import image_app
from fiducial.agent.commands.phantoms import phantom_app
from fiducial.agent.commands.terminal import (
    AsJson,
    Frame,
    Plane,
    Scale,
    Slice,
    command_group,
    json_text,
    require_text,
    say_failure,
    stdout_for_results,
)
from fiducial.agent.commands.training import add_training_commands
from fiducial.tools.errors import FiducialError, InputError

if TYPE_CHECKING:
    from fiducial.store import Store

ABSTAINED = 3
# Options and arguments that do not fit; Click's own, or that of the Click inside newer versions of Typer.
WRONGLY_TYPED = next(
    kind for kind in typer.BadParameter.__mro__ if issubclass(kind, Exception) and kind.__name__ == "ClickException"
)

app = typer.Typer(
    name="fiducial",
    help="Answers about medical images: grounded, explained, measured, and withheld when the geometry does not hold.",
    epilog="Exit codes: 0 answered or partial, 3 abstained, 2 unusable input or arguments, 1 a defect of ours.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

_BASE_HELP = "A folder, a name on the model hub or a server (http://HOST/v1#MODEL); the embedded model by default."
Base = Annotated[str | None, typer.Option(help=_BASE_HELP)]
Adapters = Annotated[Path | None, typer.Option(help="A folder of adapters, in place of the base's own.")]
StoreFile = Annotated[
    Path | None, typer.Option("--store", envvar="FIDUCIAL_STORE", help="The SQLite file that keeps the runs.")
]
Limit = Annotated[int, typer.Option(min=1, help="At most so many runs.")]


def defect(error: BaseException) -> str:
    """The one sentence for a failure that is ours."""
    what = f"{type(error).__name__}: {error}".splitlines()[0]
    return f"a defect of fiducial, not of your input ({what}); please report it with the output under FIDUCIAL_DEBUG=1"


# --- ask --------------------------------------------------------------------------------------------------------------


@app.command()
def ask(
    image: Annotated[str | None, typer.Argument(help="An image file, or a folder with a DICOM series.")] = None,
    question: Annotated[str | None, typer.Argument(help="The question, in plain English or Chinese.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the record as one JSON document.")] = False,
    overlay: Annotated[Path | None, typer.Option(help="Write the image with what was found, as a PNG.")] = None,
    scale: Scale = None,
    plane: Plane = None,
    index: Slice = None,
    frame: Frame = None,
    base: Base = None,
    adapters: Adapters = None,
    store: StoreFile = None,
    from_list: Annotated[
        Path | None,
        typer.Option(
            "--from",
            help="Ask each row of a CSV file with the columns image, question and perhaps scale, plane, slice, frame.",
        ),
    ] = None,
    as_lines: Annotated[bool, typer.Option("--jsonl", help="Print one JSON document a line.")] = False,
) -> None:
    """Ask a question about an image.

    With --from, each row is a line of JSON, in order and as it is done; a row that fails is a line with its "error",
    and the exit code is then 2 (1 if the failure is a defect of ours).
    """
    if from_list is not None:
        if any(given is not None for given in (image, overlay, plane, index, frame)):
            others = "IMAGE, QUESTION, --overlay, --plane, --slice and --frame"
            raise InputError(f"--from takes all of an image and its question from the list; leave out {others}")
        _ask_list(from_list, scale, base, adapters, store)
    if image is None or question is None:
        raise InputError('ask needs an image and a question: fiducial ask IMAGE "QUESTION", or --from LIST.csv --jsonl')
    part = {"plane": plane, "index": index, "frame": frame}
    _ask_one(image, question, scale, part, overlay, as_json or as_lines, (base, adapters, store))


def _ask_list(path: Path, scale: str | None, base: str | None, adapters: Path | None, store: Path | None) -> NoReturn:
    results = sys.stdout
    with stdout_for_results():
        _start_decoder()
        from fiducial.agent.ask import Asker
        from fiducial.agent.commands.batch import ask_all, read_list

        rows = read_list(path, scale)
        code = ask_all(Asker(base, adapters, store), rows, lambda line: print(line, file=results, flush=True), defect)
    raise typer.Exit(code)


def _ask_one(
    image: str,
    question: str,
    scale: str | None,
    part: dict[str, Any],
    overlay: Path | None,
    as_json: bool,
    model: tuple[str | None, Path | None, Path | None],
) -> NoReturn:
    require_text(image, "the image's path")
    require_text(question, "the question")
    if overlay is not None and (overlay.suffix.lower() != ".png" or not overlay.absolute().parent.is_dir()):
        raise InputError(f"cannot write the overlay {overlay}; name a .png file in a folder that exists")
    with stdout_for_results():
        _start_decoder()
        from fiducial.agent.ask import Asker
        from fiducial.agent.present import present

        asker = Asker(*model)
        record = asker.ask(Path(image), question, scale, **part)
        if overlay is not None:
            asker.overlay(record, overlay)
    print(json_text(record.document()) if as_json else present(record, overlay))
    raise typer.Exit(ABSTAINED if record.verdict is None or record.verdict.status == "abstained" else 0)


def _start_decoder() -> None:
    """The decoding worker starts while this process imports the rest."""
    from fiducial.tools.images.decoder import decoder

    decoder().start()


# --- what is registered -----------------------------------------------------------------------------------------------


def _listing(group: str, kind: str) -> typer.Typer:
    """A sub-command that lists one kind of what plugins have registered."""
    listing = command_group(f"The {kind} that are installed.")

    @listing.command("list", help=f"Print the name and description of each of the {kind}.")
    def list_all() -> None:
        from fiducial.tools.hooks import registry

        items = getattr(registry(), kind)
        width = max(map(len, items), default=0)
        for name, spec in sorted(items.items()):
            print(f"{name:{width}}  {' '.join(spec.description.split())}")

    app.add_typer(listing, name=group)
    return listing


GROUPS = {name: name for name in ("tools", "skills", "checks", "families", "workflows")} | {"data": "datasets"}
_listings = {group: _listing(group, kind) for group, kind in GROUPS.items()}
ToolName = Annotated[str, typer.Argument(help="The tool's name, as tools list prints it.")]


@_listings["tools"].command("schema")
def tools_schema(name: ToolName) -> None:
    """Print a tool's JSON Schema, as for function calling."""
    import json

    from fiducial.tools.hooks import registry

    print(json.dumps(registry().get("tools", name).schema(), ensure_ascii=False, indent=2))


@_listings["tools"].command("call")
def tools_call(
    name: ToolName, arguments: Annotated[str, typer.Argument(help="The arguments, as one JSON object.")] = "{}"
) -> None:
    """Call a tool, and print its result as JSON."""
    from fiducial.tools.hooks import registry

    tool = registry().get("tools", name)
    with stdout_for_results():
        from fiducial.agent.commands.arguments import json_object

        result = tool.call(json_object(arguments))
    print(result.model_dump_json())


# --- groups with a file of their own ----------------------------------------------------------------------------------

add_data_set_commands(_listings["data"])
add_derive_command(_listings["data"])
app.add_typer(image_app, name="image")
app.add_typer(phantom_app, name="phantom")

# --- what is kept -----------------------------------------------------------------------------------------------------

runs_app = command_group("The runs that a store has kept.")
app.add_typer(runs_app, name="runs")


def _store(path: Path | None) -> Store:
    from fiducial.store import Store

    if path is None:
        raise InputError("no store is named; pass --store FILE.db or set FIDUCIAL_STORE, as when you asked")
    return Store(path, create=False)


def _print_runs(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        status = row["status"] or "unfinished"
        print(f"{row['run_id']}  {row['started_at'][:19]}  {status:10}  {row['question']}  ({row['image_path']})")


@runs_app.command("list")
def runs_list(store: StoreFile = None, limit: Limit = 20) -> None:
    """List the latest runs, newest first."""
    _print_runs(_store(store).runs(limit))


@runs_app.command("search")
def runs_search(
    text: Annotated[str, typer.Argument(help="Words, all of which must occur.")],
    store: StoreFile = None,
    limit: Limit = 20,
) -> None:
    """Search questions, answers, explanations and reasons, best match first."""
    require_text(text, "the text")
    _print_runs(_store(store).search(text, limit))


@runs_app.command("show")
def runs_show(
    run_id: Annotated[str, typer.Argument(help="A run's id, or the beginning of it.")],
    store: StoreFile = None,
    as_json: AsJson = False,
) -> None:
    """Show one run as it was answered."""
    document = _store(store).run(run_id)
    if as_json:
        print(json_text(document))
        return
    with stdout_for_results():
        from fiducial.agent.present import present
        from fiducial.store.rows import record_of
    print(present(record_of(document)))


# --- models -----------------------------------------------------------------------------------------------------------

app.add_typer(adapters_app, name="adapters")
add_training_commands(app)


@app.command(hidden=True)
def docs() -> None:
    """Print the reference of the command line as Markdown."""
    from fiducial.agent.commands.reference import reference

    print(reference(app), end="")


def _usage(error: Any) -> int:
    """Say in one sentence what was typed wrong, and return the exit code; a group without a command shows its help."""
    if type(error).__name__ == "NoArgsIsHelpError":
        error.show()
    else:
        said = " ".join(error.format_message().split()).rstrip(".")
        context = getattr(error, "ctx", None)
        say_failure(f"{said}{f'; see {context.command_path} --help' if context else ''}")
    return int(error.exit_code)


def main() -> None:
    """Entry point: run the command, and turn what goes wrong into one sentence and an exit code."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding="utf-8", errors="backslashreplace")  # type: ignore[union-attr]
    try:
        sys.exit(app(prog_name="fiducial", standalone_mode=False) or 0)
    except WRONGLY_TYPED as error:
        sys.exit(_usage(error))
    except Exception as error:
        if os.environ.get("FIDUCIAL_DEBUG") == "1":
            raise
        ours = not isinstance(error, FiducialError)
        say_failure(defect(error) if ours else str(error))
        sys.exit(1 if not isinstance(error, FiducialError) else error.exit_code)


if __name__ == "__main__":
    main()
