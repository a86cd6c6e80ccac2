"""Plugin hooks and the registry. Built-ins come in as outside plugins do: entry points, group ``fiducial``.

A plugin is a module or object that implements any of the hooks below with ``@hookimpl``:

    from fiducial.tools.hooks import ToolSpec, hookimpl, tool

    @tool
    def add_lengths(first_mm: Annotated[float, Field(description="First length")], ...) -> Sum: ...

    @hookimpl
    def fiducial_tools() -> list[ToolSpec]:
        return [add_lengths]

Two plugins of one name is an error, never a silent rename.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal, get_args, get_type_hints

import pluggy
from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from fiducial.tools.errors import FiducialError, InputError
from fiducial.tools.record import Check, Record

GROUP = "fiducial"
hookspec = pluggy.HookspecMarker(GROUP)
hookimpl = pluggy.HookimplMarker(GROUP)

UNIT_SUFFIXES = ("_px", "_mm", "_mm2", "_deg", "_ms", "_s", "_hu", "_fraction", "_ratio", "_per_px", "_count", "_index")


class RegistrationError(FiducialError):
    """A plugin that breaks the rules of registration; the message names it, the field and the mend."""


def _floats(annotation: Any) -> bool:
    """Whether a float occurs anywhere in a type annotation."""
    return annotation is float or any(_floats(part) for part in get_args(annotation))


def require_descriptions(owner: str, model: type[BaseModel]) -> None:
    """Every field needs a description, every float field a unit: by its suffix or ``json_schema_extra={"unit": …}``."""
    for name, info in model.model_fields.items():
        if not info.description:
            raise RegistrationError(f"{owner}: field '{name}' has no description; add Field(description=…)")
        extra = info.json_schema_extra
        has_unit = name.endswith(UNIT_SUFFIXES) or (isinstance(extra, dict) and "unit" in extra)
        if _floats(info.annotation) and not has_unit:
            raise RegistrationError(
                f"{owner}: field '{name}' has no unit; end its name in one of {', '.join(UNIT_SUFFIXES)}"
                " or add json_schema_extra={'unit': …}"
            )


@dataclass(frozen=True)
class ToolSpec:
    """A typed function. ``args`` and ``result`` are pydantic models, ``version`` a hash of its source."""

    name: str
    description: str
    args: type[BaseModel]
    result: type[BaseModel]
    function: Callable[..., BaseModel]
    version: str

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The plain Python function, for code that has typed values already."""
        return self.function(*args, **kwargs)

    def call(self, arguments: Mapping[str, Any]) -> BaseModel:
        """Validate JSON-like arguments, run, validate the result. Raises InputError naming the first bad field."""
        try:
            values = self.args.model_validate(dict(arguments))
        except ValidationError as error:
            raise InputError(f"tool {self.name}: {first_problem(error)}") from None
        result = self.function(**{name: getattr(values, name) for name in self.args.model_fields})
        return self.result.model_validate(result.model_dump())

    def schema(self) -> dict[str, Any]:
        """JSON Schema as for function calling."""
        return {"name": self.name, "description": self.description, "parameters": self.args.model_json_schema()}


def first_problem(error: ValidationError) -> str:
    """One clause of the first problem of a validation error: where, what."""
    problem = error.errors()[0]
    where = ".".join(str(part) for part in problem["loc"]) or "arguments"
    return f"{where}: {problem['msg']}"


def tool(function: Callable[..., BaseModel]) -> ToolSpec:
    """Make a tool of a typed function: annotated parameters, a result model, and a docstring for a description."""
    name = function.__name__
    if not (description := inspect.getdoc(function)):
        raise RegistrationError(f"tool {name} has no docstring; its docstring is the description a model reads")
    hints = get_type_hints(function, include_extras=True)
    result = hints.pop("return", None)
    if not (inspect.isclass(result) and issubclass(result, BaseModel)):
        raise RegistrationError(f"tool {name} must return a pydantic model")
    fields: dict[str, Any] = {}
    for parameter in inspect.signature(function).parameters.values():
        default = ... if parameter.default is parameter.empty else parameter.default
        fields[parameter.name] = (hints.get(parameter.name, Any), default)
    args = create_model(f"{name}_args", __config__=ConfigDict(extra="forbid"), **fields)
    require_descriptions(f"tool {name}", args)
    require_descriptions(f"tool {name} result", result)
    version = hashlib.sha256(inspect.getsource(function).encode()).hexdigest()[:12]
    return ToolSpec(name, description, args, result, function, version)


Stage = Literal["understand", "answer", "ground", "explain", "measure", "image"]


@dataclass(frozen=True)
class CheckOutcome:
    """A check's entry in the record, and the regions that it rejects."""

    check: Check
    rejected_region_ids: tuple[str, ...] = ()


@dataclass(frozen=True)
class CheckSpec:
    """A check: a pure function of the record so far, run after its stage. Returns None where it does not apply."""

    name: str
    description: str
    stage: Stage
    function: Callable[[Record], CheckOutcome | None]


@dataclass(frozen=True)
class SkillSpec:
    """A skill: a task of a model, with typed arguments and result. ``function(session, args) -> result``."""

    name: str
    description: str
    args: type[BaseModel]
    result: type[BaseModel]
    function: Callable[[Any, Any], BaseModel]

    def call(self, session: Any, arguments: Mapping[str, Any] | BaseModel) -> Any:
        """Validate the arguments, run on the session, validate the result."""
        data = arguments if isinstance(arguments, Mapping) else arguments.model_dump()
        result = self.function(session, self.args.model_validate(data))
        return self.result.model_validate(result.model_dump())


@dataclass(frozen=True)
class FamilySpec:
    """A kind of model: how it is recognised from its folder and loaded. ``load(path, adapters_dir) -> Model``."""

    name: str
    description: str
    recognises: Callable[[Any], bool]
    load: Callable[..., Any]


@dataclass(frozen=True)
class DatasetSpec:
    """A data set: ``open(root, split)`` streams typed samples."""

    name: str
    description: str
    open: Callable[..., Iterable[Any]]


@dataclass(frozen=True)
class WorkflowSpec:
    """A registered chain of steps: ``build()`` returns a compiled graph or a plan that the controller runs."""

    name: str
    description: str
    build: Callable[..., Any]


class Hooks:
    """The hook specifications."""

    @hookspec
    def fiducial_tools(self) -> Iterable[ToolSpec]:
        """Tools to register."""
        return ()

    @hookspec
    def fiducial_checks(self) -> Iterable[CheckSpec]:
        """Checks to register; they run in the order of registration within their stage."""
        return ()

    @hookspec
    def fiducial_skills(self) -> Iterable[SkillSpec]:
        """Skills to register."""
        return ()

    @hookspec
    def fiducial_families(self) -> Iterable[FamilySpec]:
        """Model families to register."""
        return ()

    @hookspec
    def fiducial_datasets(self) -> Iterable[DatasetSpec]:
        """Data sets to register."""
        return ()

    @hookspec
    def fiducial_workflows(self) -> Iterable[WorkflowSpec]:
        """Workflows to register."""
        return ()


@dataclass
class Registry:
    """Everything that plugins have registered, by kind and name."""

    tools: dict[str, ToolSpec] = field(default_factory=dict)
    checks: dict[str, CheckSpec] = field(default_factory=dict)
    skills: dict[str, SkillSpec] = field(default_factory=dict)
    families: dict[str, FamilySpec] = field(default_factory=dict)
    datasets: dict[str, DatasetSpec] = field(default_factory=dict)
    workflows: dict[str, WorkflowSpec] = field(default_factory=dict)

    def get(self, kind: str, name: str) -> Any:
        """The registered item, or an InputError that names what there is."""
        items = getattr(self, kind)
        if name not in items:
            raise InputError(f"unknown {kind[:-1]} '{name}'; there is: {', '.join(sorted(items))}")
        return items[name]

    def add(self, kind: str, spec: Any) -> None:
        """Register one item; a second of the same name, or one without a description, is an error."""
        items = getattr(self, kind)
        if spec.name in items:
            raise RegistrationError(f"two plugins register the {kind[:-1]} '{spec.name}'; rename or remove one of them")
        if not spec.description.strip():
            raise RegistrationError(f"{kind[:-1]} '{spec.name}' has no description; add one")
        if isinstance(spec, SkillSpec):
            require_descriptions(f"skill {spec.name}", spec.args)
            require_descriptions(f"skill {spec.name} result", spec.result)
        items[spec.name] = spec


KINDS = ("tools", "checks", "skills", "families", "datasets", "workflows")


def build_registry(plugins: Iterable[object] = (), entry_points: bool = True) -> Registry:
    """A registry of the given plugin objects and, by default, of every installed entry point of the group."""
    manager = pluggy.PluginManager(GROUP)
    manager.add_hookspecs(Hooks)
    if entry_points:
        manager.load_setuptools_entrypoints(GROUP)
    for plugin in plugins:
        manager.register(plugin)
    registry = Registry()
    for kind in KINDS:
        # pluggy calls the last registered first; reversed, the order is that of registration.
        for specs in reversed(getattr(manager.hook, f"{GROUP}_{kind}")()):
            for spec in specs:
                registry.add(kind, spec)
    return registry


@cache
def registry() -> Registry:
    """The registry of this process."""
    return build_registry()
