"""The default workflow: understand → look → answer → ground → explain → measure → verify, as a LangGraph graph.

Nodes route with ``Command(goto=…)``: a conditional edge whose router raises would make a resumed run skip the rest.
Each node works on a copy and returns the whole state, so that a node that is killed half way can simply run again.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from fiducial.agent.answer import answer
from fiducial.agent.explain import explain
from fiducial.agent.ground import ground
from fiducial.agent.measure import measure
from fiducial.agent.run import Run, StepFailedError
from fiducial.agent.state import Notes, RunContext, RunState
from fiducial.agent.understand import look, understand
from fiducial.agent.verify import verify
from fiducial.tools.record import ImageInfo, Record

Node = Callable[[Run], str]
NODES: dict[str, Node] = {
    "understand": understand,
    "look": look,
    "answer": answer,
    "ground": ground,
    "explain": explain,
    "measure": measure,
    "verify": verify,
}


def be_strict() -> None:
    """By default langgraph executes what a crafted checkpoint asks for; this must be set before it is imported."""
    os.environ["LANGGRAPH_STRICT_MSGPACK"] = "true"


def build(checkpointer: Any = None) -> Any:
    """The compiled graph. Run it with a ``RunContext`` as its context and ``first_state`` as its input."""
    be_strict()
    from langgraph.graph import END, START, StateGraph

    graph = StateGraph(RunState, context_schema=RunContext)
    for name, node in NODES.items():
        ends = (*NODES, END) if name != "verify" else (END,)
        graph.add_node(name, _routed(node), destinations=ends)
    graph.add_edge(START, "understand")
    return graph.compile(checkpointer=checkpointer)


def _routed(node: Node) -> Callable[..., Any]:
    """A graph node of a plain function; a step that failed for good ends in an abstention that names it."""
    from langgraph.graph import END
    from langgraph.runtime import Runtime
    from langgraph.types import Command

    def step(state: RunState, runtime: Runtime[RunContext]) -> Command[Any]:
        run = Run(state, runtime.context)
        try:
            goto = node(run)
        except StepFailedError as error:
            goto = run.abstain("step_failed", str(error)) if node is not verify else _give_up(run, str(error))
        return Command(goto=END if goto == "end" else goto, update=run.state())

    # The annotations are read by langgraph at run time, where this module's postponed ones would not resolve.
    step.__annotations__ = {"state": RunState, "runtime": Runtime[RunContext]}
    return step


def _give_up(run: Run, detail: str) -> str:
    """A check that fails in the last node must not keep the run from its verdict."""
    from fiducial.tools.record import Reason, Verdict

    reasons = (Reason(code="step_failed", detail=detail),)
    run.put(verdict=Verdict(status="abstained", reasons=reasons))
    return "end"


def first_state(run_id: str, question: str, image: ImageInfo) -> RunState:
    """The state before the first node."""
    record = Record(run_id=run_id, question=question, image=image)
    return {"record": record.model_dump(mode="json"), "notes": Notes().model_dump(mode="json")}
