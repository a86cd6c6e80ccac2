"""``docs/cli.md``: the program's own help of every command, as Markdown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer

_HEADER = "# The command line\n\nWritten by `make docs` from the program's own help; do not edit by hand.\n"


def _help_texts(command: Any, name: str, parent: Any = None) -> Iterator[tuple[str, str]]:
    """Each visible command's full name and help, depth first, in the order of its definition."""
    context = typer.Context(command, info_name=name, parent=parent, terminal_width=100, max_content_width=100)
    yield context.command_path, command.get_help(context)
    for child_name, child in getattr(command, "commands", {}).items():
        if not child.hidden:
            yield from _help_texts(child, child_name, context)


def reference(app: typer.Typer) -> str:
    """The Markdown reference of an application."""
    texts = _help_texts(typer.main.get_command(app), "fiducial")
    return "\n".join([_HEADER, *(f"## {name}\n\n```text\n{text.strip()}\n```\n" for name, text in texts)])
