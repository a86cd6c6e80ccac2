"""The built-ins of this room, registered through the same hooks as an outside plugin."""

from __future__ import annotations

from typing import Any

from fiducial.tools.hooks import WorkflowSpec, hookimpl


def _chain(checkpointer: Any = None) -> Any:
    """The compiled default graph; imported on first use, for langgraph is slow to import."""
    from fiducial.agent.controller import build

    return build(checkpointer)


@hookimpl
def fiducial_workflows() -> list[WorkflowSpec]:
    """The workflows of this room."""
    chain = WorkflowSpec(
        name="chain",
        description="understand → look → answer → ground → explain → measure → verify; each can veto the one before.",
        build=_chain,
    )
    return [chain]
