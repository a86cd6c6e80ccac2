"""The card beside an adapter or a base: ``README.md``, from its manifest and its log alone, so that it cannot drift."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from fiducial.skills.adapters import MANIFEST, Manifest
from fiducial.skills.bases import BASE_MANIFEST, BaseManifest
from fiducial.skills.datasets.check import is_negative
from fiducial.skills.training.curves import CURVES, LOG, Entry, read_log
from fiducial.skills.training.failures import AVERAGES, Scores
from fiducial.skills.training.rows import Row
from fiducial.tools.errors import InputError
from fiducial.tools.hooks import first_problem, registry
from fiducial.tools.metrics.means import ratio

CARD = "README.md"
WATCH, PARITY = "watch.", "parity."  # what a manifest's figures begin with
APART = frozenset({"name", "description", "source", "chosen", "families", "lora", "templates", "dialects"})


def figures_of(scores: Mapping[str, Scores]) -> dict[str, float]:
    """Scores by task and size class as a manifest holds them: ``watch.detect <5 %.f1``."""
    return {f"{WATCH}{task}.{name}": value for task, found in scores.items() for name, value in found.items()}


def scores_in(metrics: Mapping[str, float]) -> dict[str, Scores]:
    """Inverse of ``figures_of``; what else is there is passed over."""
    found: dict[str, Scores] = defaultdict(dict)
    for key, value in metrics.items():
        if key.startswith(WATCH):
            task, _, name = key.removeprefix(WATCH).rpartition(".")
            found[task][name] = value
    return dict(found)


def about_data(rows: Sequence[Row]) -> dict[str, dict[str, Any]]:
    """What a log says of each set that is trained on: what it is, splits, images, rows a task, negatives, languages."""
    sets: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        sets[row.id.partition("/")[0]].append(row)
    return {name: _about(name, found) for name, found in sets.items()}


def _about(name: str, rows: Sequence[Row]) -> dict[str, Any]:
    said = [is_negative(row.ask) for row in rows]
    specs = registry().datasets
    share = ratio(sum(s is True for s in said), sum(s is not None for s in said), -1.0)
    return {
        "description": specs[name].description if name in specs else "",
        "splits": sorted({row.sample.split for row in rows} - {""}),
        "images": len({row.sample.image_name for row in rows}),
        "groups": len({row.sample.group for row in rows}),
        "rows": dict(sorted(Counter(row.task for row in rows).items())),
        "negatives": None if share < 0 else round(share, 4),
        "languages": dict(sorted(Counter(row.ask.query.language for row in rows).items())),
        "synthetic": sum(row.sample.synthetic for row in rows),
    }


def write_card(folder: Path) -> Path:
    """Write the card of an adapter's or a base's folder. InputError where it has no manifest."""
    kind: type[Manifest] | type[BaseManifest]
    name, kind = (MANIFEST, Manifest) if (folder / MANIFEST).is_file() else (BASE_MANIFEST, BaseManifest)
    try:
        manifest = kind.model_validate_json((folder / name).read_bytes())
    except OSError as error:
        raise InputError(f"{folder} has no manifest ({error}); give an adapter's folder or a trained base's") from None
    except ValidationError as error:
        raise InputError(f"the manifest {folder / name}: {first_problem(error)}; train it again") from None
    head, entries = read_log(folder / LOG)
    path = folder / CARD
    path.write_text(card(manifest, head, entries, (folder / CURVES).is_file()), encoding="utf-8")
    return path


def card(manifest: Manifest | BaseManifest, head: Entry, entries: Sequence[Entry], curves: bool = False) -> str:
    """The card's text, Markdown. curves: whether the picture lies beside it."""
    sections = [
        _what(manifest),
        _use(manifest),
        _limits(manifest),
        _recipe(manifest.recipe, head),
        _data(manifest.data_sha256, head),
        _figures(manifest.metrics, head, entries, curves),
        _parity(manifest.metrics),
        _versions(manifest.versions),
    ]
    return "\n\n".join(part for part in sections if part) + "\n"


def _what(manifest: Manifest | BaseManifest) -> str:
    recipe = manifest.recipe
    described = f"{recipe['description']}." if recipe.get("description") else ""
    if isinstance(manifest, BaseManifest):
        title, parent, parent_sha256 = f"A base trained from {manifest.parent}", manifest.parent, manifest.parent_sha256
        what = f"All parameters but frozen ones were trained. {described}\n\n- Weights: SHA-256 `{manifest.sha256}`"
    else:
        title, parent, parent_sha256 = f"{manifest.loaded_as}: a LoRA adapter", manifest.base, manifest.base_sha256
        kind = "An *activated* LoRA: it works from its invocation tokens on. " if manifest.activated else ""
        what = (
            f"{kind}{described}\n\n- Skills: {', '.join(manifest.skills)}\n- Family: {manifest.family};"
            f" dialect: {manifest.dialect}"
        )
        if manifest.parent:
            what += f"\n- Training went on from the adapter whose manifest is `{manifest.parent}`"
    return f"# {title}\n\n{what.strip()}\n- Trained on: `{parent}`, SHA-256 of its weights `{parent_sha256}`"


def _use(manifest: Manifest | BaseManifest) -> str:
    if isinstance(manifest, BaseManifest):
        return "## Use\n\n    fiducial ask IMAGE QUESTION --base THIS_FOLDER"
    return (
        "## Use\n\n    fiducial ask IMAGE QUESTION --base BASE --adapters FOLDER\n\n"
        f"BASE is the folder of `{manifest.base}`, the very weights named above; FOLDER holds this folder."
    )


def _limits(manifest: Manifest | BaseManifest) -> str:
    seen = ", ".join(manifest.data_sha256) or "its training data"
    return (
        "## Intended use and limits\n\nFor research on grounded answers about medical images. It is **not a medical"
        " device** and must not be used for diagnosis or treatment.\n\nNothing is known of its answers about images"
        f" unlike those of {seen}, from other devices or populations, or to questions that it was not trained on. Read"
        " the failures below beside the averages: a mean over what could be read leaves out what could not."
    )


def _recipe(recipe: Mapping[str, Any], head: Entry) -> str:
    if not recipe:
        return ""
    rows = [(key.replace("_", " "), _said(value)) for key, value in recipe.items() if key not in APART]
    lora = recipe.get("lora") or {}
    rows += [(f"LoRA {key}", _said(value)) for key, value in lora.items()]
    rows += [(name, _said(head[name])) for name in ("steps", "processes") if name in head]
    chosen = recipe.get("chosen") or ()
    lines = [f"- {line}" for line in chosen]
    source = f"{recipe['source']}\n\n" if recipe.get("source") else ""
    not_said = "What its source does not say, and was chosen here:\n\n" + "\n".join(lines) + "\n\n" if lines else ""
    templates = [("templates", _said(recipe["templates"]))] if recipe.get("templates") else []
    table = _table(("number", "value"), [row for row in rows + templates if row[1]])
    return f"## Recipe {recipe.get('name', '')}".rstrip() + f"\n\n{source}{not_said}{table}"


def _said(value: Any) -> str:
    if isinstance(value, Mapping):
        return "; ".join(f"{key}: {_said(part)}" for key, part in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _data(hashes: Mapping[str, str], head: Entry) -> str:
    if not hashes:
        return ""
    parts = []
    for name, sha256 in hashes.items():
        about = head.get("data", {}).get(name, {})
        lines = [f"**{name}**" + (f": {about['description']}" if about.get("description") else "")]
        if about:
            rows = ", ".join(f"{count} {task}" for task, count in about["rows"].items())
            share = about["negatives"]
            lines += [
                f"- Split: {', '.join(about['splits']) or 'not named'}; {about['images']} images of {about['groups']}"
                " groups (patients, videos or images)",
                f"- Rows: {rows}",
                f"- Questions about what is not there: {'none is of that kind' if share is None else f'{share:.1%}'}",
                f"- Languages: {', '.join(f'{language} {count}' for language, count in about['languages'].items())}",
            ]
            if about["synthetic"]:
                lines.append(f"- Rows whose text a model wrote: {about['synthetic']}")
        lines.append(f"- SHA-256 of the list of its questions: `{sha256}`")
        parts.append(lines[0] + "\n\n" + "\n".join(lines[1:]))
    return "## Data\n\n" + "\n\n".join(parts)


COLUMNS: tuple[tuple[str, str, bool], ...] = (  # of every task: heading, score, whether a share
    ("rows", "rows", False),
    ("unread", "unread", True),
    ("broken off", "truncated", True),
    ("mended or cut", "salvaged", True),
    ("zero cases", "zero", True),
    ("invented", "invented", True),
    ("different answers", "distinct", False),
    ("commonest answer", "commonest", True),
)


def _figures(metrics: Mapping[str, float], head: Entry, entries: Iterable[Entry], curves: bool) -> str:
    scores = scores_in(metrics)
    picture = f"\n\n![Loss, failures and averages over the steps]({CURVES})" if curves else ""
    if not scores:
        return f"## Figures\n\nNo rows were watched in this training.{picture}"
    watched = [entry["step"] for entry in entries if entry["kind"] == "watch"]
    when = f" after step {watched[-1]}" if watched else ""
    of = "".join(f", {count} of {name}" for name, count in head.get("watched", {}).items())
    rows = [[task, *(_cell(found, key, share) for _, key, share in COLUMNS)] for task, found in scores.items()]
    failures = _table(("task, size of the object", *(heading for heading, *_ in COLUMNS)), rows)
    averages = []
    for task, found in scores.items():
        average, honest, less = AVERAGES[task.partition(" ")[0]]
        better = "less" if less else "more"
        averages.append([task, *(_named(found, key) for key in (average, honest)), better, _others(task, found)])
    heads = ("task, size of the object", "over what could be read", "over all rows", "better is", "others")
    return (
        f"## Figures\n\nOn rows that were kept back (no patient or image of theirs was trained on){of}{when}, answered"
        " greedily, read and mapped as at inference. Sizes are shares of the image's area. They are few: an estimate,"
        f" not an evaluation.\n\n{failures}\n\n{_table(heads, averages)}{picture}"
    )


def _cell(found: Scores, key: str, share: bool) -> str:
    return "" if key not in found else f"{found[key]:.0%}" if share else f"{found[key]:.0f}"


def _named(found: Scores, key: str) -> str:
    return f"{key} {found[key]:.3g}" if key in found else "none"


def _others(task: str, found: Scores) -> str:
    shown = {*(key for _, key, _ in COLUMNS), "distinct_true", *AVERAGES[task.partition(" ")[0]][:2]}
    return ", ".join(f"{key} {value:.3g}" for key, value in found.items() if key not in shown)


def _parity(metrics: Mapping[str, float]) -> str:
    rows = [(key.removeprefix(PARITY), f"{value:.6g}") for key, value in metrics.items() if key.startswith(PARITY)]
    if not rows:
        return "## Parity check\n\nNot recorded."
    said = "The data's own targets, written, tokenised, decoded, read and mapped back as at inference:"
    return f"## Parity check\n\n{said}\n\n{_table(('figure', 'value'), rows)}"


def _versions(versions: Mapping[str, str]) -> str:
    return f"## Made with\n\n{_table(('library', 'version'), sorted(versions.items()))}" if versions else ""


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)
