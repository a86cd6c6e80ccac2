"""Prompt templates: data files beside this one, checked when they are read; nothing of a prompt is in code.

A set has for each task and language a pool of wordings, and where the family needs it a sentence on the format. What
a set lacks it takes from the set that it extends; what no set has in a language is asked in English.
"""

from __future__ import annotations

from functools import cache
from string import Template
from typing import Annotated, Self, get_args

from pydantic import Field, model_validator

from fiducial.skills.data_files import read_all, read_named
from fiducial.skills.targets import Language, PromptTask, Query
from fiducial.tools.errors import InputError
from fiducial.tools.frames import FrameMap2D
from fiducial.tools.record import Part

FIELDS = {"label", "question", "options", "quantities", "unit", "pixel_width_mm", "pixel_height_mm"}
_OPTION_FIELDS = {"index", "option"}
_SLICE_FIELDS = {"slices", "count"}

Pool = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(min_length=1)]


class TemplateSet(Part):
    """One data file.

    prompts: by task and language, wordings with ``${field}`` of FIELDS; formats: a sentence that follows the wording;
    option: how one option of a choice is written, with ``${index}`` from 0; task_tokens: words that a tokenizer must
    know as one token each; slices: a sentence that tells which slices of a volume the images are.
    """

    name: str
    source: str
    extends: str | None
    option: str
    option_separator: str
    task_tokens: tuple[str, ...] = ()
    prompts: dict[PromptTask, dict[Language, Pool]]
    formats: dict[PromptTask, dict[Language, str]]
    slices: dict[Language, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _known_fields(self) -> Self:
        texts = [text for pools in self.prompts.values() for pool in pools.values() for text in pool]
        texts += [text for sentences in self.formats.values() for text in sentences.values()]
        told = [(text, _SLICE_FIELDS) for text in self.slices.values()]
        for text, known in [*((text, FIELDS) for text in texts), (self.option, _OPTION_FIELDS), *told]:
            template = Template(text)
            if not template.is_valid():
                raise ValueError(f"a lone $ in '{text}'")
            if unknown := set(template.get_identifiers()) - known:
                raise ValueError(f"unknown field ${{{sorted(unknown)[0]}}} in '{text}'")
        if self.extends is None and (missing := set(get_args(PromptTask)) - set(self.prompts)):
            raise ValueError(f"no prompt for {', '.join(sorted(missing))}, and no other set to take it from")
        return self


def read_set(text: str, name: str) -> TemplateSet:
    """A set from its JSON text. InputError that names the set and the first field that is wrong."""
    return read_named(TemplateSet, "the set of templates", text, name)


@cache
def template_sets() -> dict[str, TemplateSet]:
    """Every set that the package carries, by its name."""
    found = read_all(TemplateSet, "the set of templates", "fiducial.skills.templates")
    if unknown := sorted({s.extends for s in found.values() if s.extends} - set(found)):
        raise InputError(f"templates extend the set '{unknown[0]}', which is not there")
    return found


def template_set(name: str) -> TemplateSet:
    """A set by its name; InputError that names what there is."""
    if name not in template_sets():
        raise InputError(f"unknown templates '{name}'; there is: {', '.join(template_sets())}")
    return template_sets()[name]


def wordings(name: str, task: PromptTask, language: Language) -> Pool:
    """The pool of a task in a set, or in the sets that it extends; English where there is none in the language."""
    chain = _chain(name)
    for spoken in dict.fromkeys((language, "en")):
        for each in chain:
            if pool := each.prompts.get(task, {}).get(spoken):
                found: Pool = pool
                return found
    raise InputError(f"the templates '{name}' have no prompt for '{task}'")


def fill(name: str, query: Query, to_model: FrameMap2D | None = None, variant: int = 0) -> str:
    """The prompt of a query, without the image. variant: which wording of the pool, from 0, taken round.

    to_model: from stored pixels to the model's input; needed where a template states the pixel size, which is that of
    the model's input. InputError where the query lacks what the template names.
    """
    pool = wordings(name, query.task, query.language)
    chain = _chain(name)
    sentences = [each.formats.get(query.task, {}) for each in chain]
    spoken = next((s[query.language] for s in sentences if query.language in s), None)
    spoken = spoken or next((s["en"] for s in sentences if "en" in s), None)
    text = " ".join(part for part in (pool[variant % len(pool)], spoken) if part)
    values = _values(chain[0], query, to_model)
    for field in Template(text).get_identifiers():
        if values.get(field) is None:
            need = "a scale and the map to the model's input" if field.startswith("pixel") else f"a value for '{field}'"
            raise InputError(f"the template '{name}' for '{query.task}' needs {need}; the query has none")
    return _told_slices(chain, query) + Template(text).substitute(values)


def _told_slices(chain: list[TemplateSet], query: Query) -> str:
    """Which slices of a volume the images are, before all else; empty for other queries."""
    if not query.slices:
        return ""
    tables = [each.slices for each in chain if each.slices]
    sentence = next((table.get(query.language) or table["en"] for table in tables), None)
    if sentence is None:
        return ""
    values = {"slices": ", ".join(map(str, query.slices)), "count": str(query.slice_count or len(query.slices))}
    return Template(sentence).substitute(values) + " "


def _chain(name: str) -> list[TemplateSet]:
    chain = [template_set(name)]
    while (parent := chain[-1].extends) is not None and len(chain) <= len(template_sets()):
        chain.append(template_set(parent))
    return chain


def _values(templates: TemplateSet, query: Query, to_model: FrameMap2D | None) -> dict[str, str | None]:
    options = [Template(templates.option).substitute(index=i, option=o) for i, o in enumerate(query.options)]
    scale = to_model.scale(query.scale) if to_model is not None and query.scale is not None else None
    joined = "、" if query.language == "zh" else " and "
    return {
        "label": query.label,
        "question": query.question,
        "options": templates.option_separator.join(options) or None,
        "quantities": joined.join(query.quantities) or None,
        "unit": {"deg": "degrees", None: None}.get(query.unit, query.unit),
        "pixel_width_mm": None if scale is None else f"{scale.column_mm:.3f}",
        "pixel_height_mm": None if scale is None else f"{scale.row_mm:.3f}",
    }
