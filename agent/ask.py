"""Asking: open the image, run the workflow, keep the record; one at a time or many, with one loaded model."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fiducial.agent.controller import be_strict, build, first_state
from fiducial.agent.policy import Policy, load_policy
from fiducial.agent.rows import Row, read_row
from fiducial.agent.state import RunContext, RunState
from fiducial.agent.volume import flattened, is_volume, reopened, stack_of
from fiducial.skills.base import Model, opens_volumes
from fiducial.tools.errors import FiducialError, InputError
from fiducial.tools.hooks import Registry, registry
from fiducial.tools.record import ImageInfo, Record, Scale
from fiducial.tools.scale import parse_scale

if TYPE_CHECKING:
    from fiducial.skills.stack import Stack
    from fiducial.store.store import Store
    from fiducial.tools.images.image import Image

MAX_QUESTION_CHARACTERS = 1000


class Asker:
    """Answers questions about images with one model, which is loaded at the first question.

    base: a base's name or path, None for the embedded model; adapters: a folder of adapters in place of the model's
    own; store: a database file that keeps the runs, beside which unfinished runs are checkpointed so that ``resume``
    can take them up; model: one that is loaded already, in place of base and adapters.
    """

    def __init__(
        self,
        base: str | None = None,
        adapters: Path | None = None,
        store: Path | None = None,
        *,
        model: Model | None = None,
        registry: Registry | None = None,
    ) -> None:
        self._base, self._adapters, self._given, self._registry = base, adapters, model, registry
        self.store_path = Path(store) if store else None

    @cached_property
    def model(self) -> Model:
        """The model, loaded once. Raises InputError for one that cannot be loaded."""
        if self._given is not None:
            return self._given
        from fiducial.skills.load import load_model

        return load_model(self._base, self._adapters)

    @cached_property
    def policy(self) -> Policy:
        """Thresholds and ladders, from the model's own calibration where it has one."""
        folder = getattr(self.model, "folder", None)
        return load_policy(Path(folder) if folder else None)

    @cached_property
    def store(self) -> Store | None:
        """The store of runs, if one was named."""
        if self.store_path is None:
            return None
        from fiducial.store.store import Store

        return Store(self.store_path)

    def ask(
        self,
        image_path: str | Path,
        question: str,
        scale: Scale | str | None = None,
        *,
        plane: str | None = None,
        index: int | None = None,
        frame: int | None = None,
    ) -> Record:
        """One run. scale: such as "0.1 mm/px", in place of the file's own. plane and index: which slice of a volume.

        frame: which frame as stored, page, or volume of a fourth axis, from 0.
        Raises InputError for an image, question, scale or model that cannot be used; all else ends in a verdict.
        """
        if not question.strip():
            raise InputError('the question is empty; ask something such as "How many platelets are there?"')
        if len(question) > MAX_QUESTION_CHARACTERS:
            raise InputError(f"the question has {len(question)} characters; ask in at most {MAX_QUESTION_CHARACTERS}")
        from fiducial.tools.images.open_image import open_image

        stated = parse_scale(scale) if isinstance(scale, str) else scale
        image = open_image(image_path, stated, frame=frame, plane=plane, index=index)
        run_id = uuid.uuid4().hex
        stack = None
        if (plane, index, frame) == (None, None, None) and is_volume(image) and opens_volumes(self.model):
            stack = stack_of(image, self.policy.volume_slices, stated)
            image = stack.middle
        info = image.info if stack is None else stack.info
        if self.store:
            self.store.begin(run_id, question, info, self.model.name)
        return self._run(run_id, image, stack, first_state(run_id, question, info))

    def resume(self, run_id: str) -> Record:
        """Take up a run that was cut off, from its last checkpoint; a run that has ended is read from the store.

        Raises InputError if there is no such run, or if its image has changed since.
        """
        if self.store is None:
            raise InputError("a run can only be resumed from a store; name the one that it was kept in")
        from fiducial.store.rows import record_of

        row = self.store.run(run_id)
        if row.get("verdict"):
            return record_of(row)
        info = ImageInfo.model_validate(row["image"])
        image, stack = reopened(info)
        if image.info.sha256 != info.sha256:
            raise InputError(f"{info.path} has changed since run {row['run_id']} began; ask again")
        with self._checkpoints() as saver:
            config = {"configurable": {"thread_id": row["run_id"]}}
            begun = saver is not None and saver.get(config) is not None
        state = None if begun else first_state(row["run_id"], row["question"], info)
        return self._run(row["run_id"], image, stack, state)

    def _run(self, run_id: str, image: Image, stack: Stack | None, state: RunState | None) -> Record:
        """Run the workflow to its end; ``state`` None goes on from the last checkpoint."""
        context = RunContext(self.model, image, self._registry or registry(), self.policy, stack)
        with self._checkpoints() as saver:
            config = {"configurable": {"thread_id": run_id}}
            durability = {"durability": "sync"} if saver else {}
            final = build(saver).invoke(state, config, context=context, **durability)
            record = context.placed(Record.model_validate(final["record"]))
            if self.store:
                self.store.save(record, getattr(self.model, "adapter_hashes", None))
            if saver:
                saver.delete_thread(run_id)
        return record

    @contextmanager
    def _checkpoints(self) -> Iterator[Any]:
        """The checkpoints of unfinished runs, in a file of their own beside the store; None without a store."""
        if self.store_path is None:
            yield None
            return
        be_strict()
        import sqlite3
        from contextlib import closing

        from langgraph.checkpoint.sqlite import SqliteSaver

        path = self.store_path.with_name(self.store_path.name + ".checkpoints")
        with closing(sqlite3.connect(path, timeout=30.0, check_same_thread=False)) as connection:
            yield SqliteSaver(connection)

    def overlay(self, record: Record, path: str | Path) -> None:
        """Write the record's image with its regions drawn on it. Raises InputError if either file cannot be used."""
        from fiducial.tools.overlay import write_overlay

        image, stack = reopened(record.image)
        if stack is not None:
            record, image = flattened(record, stack)
        write_overlay(path, image.rgb_u8, record, image.stored_to_display)

    def ask_row(self, row: Row) -> Record:
        """The run of one row of a list. Raises InputError for one that cannot be asked, as ``ask`` does."""
        if row.fault:
            raise InputError(row.fault)
        image = Path(row.image.strip())
        return self.ask(image, row.question, row.scale, plane=row.plane, index=row.index, frame=row.frame)

    def ask_many(self, rows: Iterable[Mapping[str, str]]) -> Iterator[tuple[Mapping[str, str], Record | FiducialError]]:
        """Each row with its record, or the error of that row alone.

        A row has ``image`` and ``question``, and optionally ``scale``, ``plane``, ``slice`` and ``frame``, as of
        ``ask --from``. The model is loaded first; if it cannot be, that is the error of them all and is raised.
        """
        _ = self.model, self.policy
        for number, row in enumerate(rows, 1):
            try:
                yield row, self.ask_row(read_row(number, row, Path()))
            except FiducialError as error:
                yield row, error
