"""The wording of answers, in the language of the question: ``phrases.LANGUAGE.json`` has it, this puts it together."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from fiducial.tools.landmark_measures import above_normal, landmark_keys, landmark_words, quantity_words
from fiducial.tools.positions import anchor_xy_px, place_of
from fiducial.tools.record import ImageInfo, Intent, Language, Measurement, Quantity, Region, Selector
from fiducial.tools.structures import DOMAIN_NAMES, structures
from fiducial.tools.words import domain_of, name_of

MAX_LISTED = 8
AT_THE_DETECTOR = " at the detector"  # ends the units of what a radiograph's detector sees


@cache
def table(language: Language) -> Mapping[str, Any]:
    """The phrases of a language."""
    text = files("fiducial.agent").joinpath(f"phrases.{language}.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


def say(phrase: str, language: Language = "en", **values: object) -> str:
    """A phrase with its places filled."""
    return str(table(language)[phrase]).format(**values)


def listing(items: Sequence[str], language: Language = "en") -> str:
    """``a, b and c``."""
    said = table(language)
    first = str(said["comma"]).join(items[:-1])
    return f"{first}{said['and']}{items[-1]}" if first else "".join(items)


def word(kind: str, key: str, language: Language = "en") -> str:
    """A word of a table of words (ordinals, places, quantities, titles, status); the key itself where it has none."""
    return str(table(language)[kind].get(key, key.replace("_", " ")))


def yes_no(language: Language = "en") -> tuple[str, str]:
    """Yes and no, in this order."""
    return str(table(language)["yes"]), str(table(language)["no"])


def sentence(text: str, language: Language = "en") -> str:
    """An option as a sentence of its own."""
    return say("sentence", language, text=text[:1].upper() + text[1:])


def name(structure: str, number: int = 2, language: Language = "en") -> str:
    """The name of a structure, singular for ``number`` 1."""
    return name_of(structure, number, language)


def counted(number: int, structure: str, language: Language = "en") -> str:
    """``3 platelets``, ``1 platelet``, ``no platelets``."""
    phrase = "counted" if number else "counted_none"
    return say(phrase, language, number=number, name=name(structure, number, language))


def there_are(number: int, structure: str, language: Language = "en") -> str:
    """A count in words: ``There are 3 platelets``."""
    counted_words = counted(number, structure, language)
    return say("there_is" if number == 1 else "there_are", language, counted=counted_words)


def domain(kind: str, language: Language = "en") -> str:
    """``a blood smear``; for a kind that has no name, the kind itself."""
    if language != "en":
        return domain_of(kind, language)
    return "no kind that is known" if kind == "other" else with_article(DOMAIN_NAMES.get(kind, kind))


def with_article(name: str) -> str:
    """``an opacity``, ``a platelet``, ``an MR slice``."""
    return f"{'an' if name[0] in 'aeio' or name.startswith('MR ') else 'a'} {name}"


def kind(key: str, language: Language = "en") -> str:
    """The answer to what kind of image this is."""
    return say("kind_none" if key == "other" else "kind", language, kind=domain(key, language))


def quantity(key: Quantity, language: Language = "en") -> str:
    """``head circumference``; what is taken between landmarks has its name in their table."""
    return quantity_words(key, language) or word("quantities", key, language)


def ordinal(selector: Selector, language: Language = "en") -> str:
    """``second largest``."""
    return word("ordinals", selector, language)


def names_all(intent: Intent) -> bool:
    """Whether a question is about all landmarks, whichever the image has."""
    return intent.landmarks == landmark_keys()


def can_be_asked(keys: Sequence[str]) -> str:
    """What can be asked, of these structures of the table."""
    table_of = [structures()[key] for key in keys]
    known = ", ".join(f"{s.plural} ({DOMAIN_NAMES.get(s.domain, s.domain)})" for s in table_of)
    return (
        "you can ask whether there are, how many there are, where they are, how large they are, how two of them"
        f" compare, or what kind of image this is, for: {known}; and, where the model knows landmarks, for places,"
        " distances and angles between them by their names"
    )


def place(region: Region, image: ImageInfo, language: Language = "en") -> str:
    """Which third of the image, as it is displayed, a region's middle is in, by words such as ``upper left``."""
    x, y = anchor_xy_px(region)
    if not (0 <= x <= image.width_px and 0 <= y <= image.height_px):
        return say("outside", language)
    return word("places", place_of(region, image.width_px, image.height_px, image.orientation), language)


def where(regions: Sequence[Region], image: ImageInfo, language: Language = "en") -> str:
    """``upper left (R1, R2), centre (R3)``, in the order of the first region of each place."""
    by_place: dict[str, list[str]] = {}
    for region in regions:
        by_place.setdefault(place(region, image, language), []).append(region.id)
    told = (say("place", language, place=spot, ids=", ".join(ids)) for spot, ids in by_place.items())
    return str(table(language)["comma"]).join(told)


def located(
    structure: str, regions: Sequence[Region], image: ImageInfo, rank: str = "", language: Language = "en"
) -> str:
    """The answer to where something is. rank: ``second largest``, of one that was chosen by its rank."""
    if any(region.kind == "box_3d" for region in regions):
        return _in_slices(structure, regions, language)
    if len(regions) == 1:
        own = name(structure, 1, language)
        which = say("ranked", language, ordinal=rank, name=own) if rank else own
        spot = place(regions[0], image, language)
        return say("located_one", language, which=which, id=regions[0].id, place=spot)
    what = counted(len(regions), structure, language)
    return say("located", language, counted=what, places=where(regions, image, language))


def landmarks(regions: Sequence[Region], image: ImageInfo, language: Language = "en") -> str:
    """Where each landmark is, in stored pixels and in words, in the order given."""
    told = [
        say(
            "landmark",
            language,
            name=label(region, language),
            id=region.id,
            x=f"{region.point_xy_px[0]:.1f}",
            y=f"{region.point_xy_px[1]:.1f}",
            place=place(region, image, language),
        )
        for region in regions
        if region.point_xy_px is not None
    ]
    return sentence(str(table(language)["semicolon"]).join(told), language)


def _in_slices(structure: str, regions: Sequence[Region], language: Language) -> str:
    """Of boxes in a volume, the slices that each reaches through, numbered from 0."""
    told = []
    for region in regions[:MAX_LISTED]:
        _, _, z0, _, _, z1 = region.box_xyzxyz_voxel or (math.nan,) * 6
        ends = {"first": math.floor(z0), "last": max(math.floor(z0), math.ceil(z1) - 1)}
        told.append(say("slices", language, id=region.id, **ends))
    what = counted(len(regions), structure, language)
    are = "is" if len(regions) == 1 else "are"
    return say("boxed_3d", language, counted=what, are=are, listed=str(table(language)["semicolon"]).join(told))


def outlined(structure: str, regions: Sequence[Region], language: Language = "en") -> str:
    """That so many are outlined, by their ids."""
    ids, are = ", ".join(region.id for region in regions), "is" if len(regions) == 1 else "are"
    return say("outlined", language, counted=counted(len(regions), structure, language), are=are, ids=ids)


def between(intent: Intent, regions: Sequence[Region], language: Language = "en") -> str:
    """Between which landmarks a quantity is taken."""
    ids = {region.label: region.id for region in regions}
    points = [f"{landmark_words(key, language)} ({ids.get(key, '?')})" for key in intent.landmarks]
    asked = quantity(intent.quantity or "distance", language)
    return say("between", language, quantity=asked, points=listing(points, language))


def measured(m: Measurement, landmarks: Sequence[str], language: Language = "en") -> str:
    """A measurement as a sentence; another says on which side it lies of the limit that the field goes by, if any.

    What has no name of its own is named by the landmarks that it is taken between.
    """
    points = [landmark_words(key, language) for key in landmarks]
    of = "angle_of_lines" if m.quantity == "angle" and len(points) > 3 else m.quantity
    named = table(language)["of_landmarks"].get(of)
    asked = str(named).format(*points, points=listing(points, language)) if named else quantity(m.quantity, language)
    said = say("measured", language, quantity=asked, value=with_unit(m, language))
    above = above_normal(m.quantity, m.value)
    if above is None:
        return said
    near = above_normal(m.quantity, m.interval.low) != above_normal(m.quantity, m.interval.high)
    side = ("near_" if near else "") + ("above" if above else "within")
    return said + str(table(language)["limits"][m.quantity][side])


def rounded(value: float, uncertainty: float) -> str:
    """A value with the digits that its uncertainty leaves meaningful; three significant ones where there is none."""
    step = uncertainty if uncertainty > 0 else abs(value) / 100
    digits = 0 if step <= 0 else max(0, min(6, 1 - math.floor(math.log10(step))))
    if uncertainty >= 3:
        digits = 0
    return f"{value:.{digits}f}"


def unit_after(m: Measurement, language: Language = "en") -> tuple[str, str]:
    """A measurement's unit as it follows a number, and what is said of it once: that it is at the detector."""
    unit = m.unit.removesuffix(AT_THE_DETECTOR)
    where = "" if unit == m.unit else str(table(language)["at_the_detector"])
    return {"1": "", "°": "°"}.get(unit, f" {unit}"), where


def with_unit(m: Measurement, language: Language = "en") -> str:
    """``312.4 mm (± 4.1 mm)``; the uncertainty is one standard deviation."""
    unit, where = unit_after(m, language)
    value, spread = rounded(m.value, m.uncertainty), rounded(m.uncertainty, m.uncertainty)
    return f"{value}{unit} (± {spread}{unit}){where}"


ABOUT = {"question": "question in free words", "report": "report of the image", "kind": "kind of the image"}


def about(intent: Intent, language: Language = "en") -> str:
    """What an intent asks, for a person: ``count of platelets``."""
    if language != "en":
        return _about_in(intent, language)
    if intent.task in ABOUT:
        options = f" ({' or '.join(intent.options)})" if intent.options else ""
        named = f", about {name(intent.structure, 1)}" if intent.structure else ""
        return ABOUT[intent.task] + options + named
    if intent.landmarks:
        asked = quantity(intent.quantity) if intent.quantity else intent.task
        points = [landmark_words(key) for key in intent.landmarks]
        return f"{asked} of {'all landmarks' if names_all(intent) else listing(points)}"
    what = quantity(intent.quantity) if intent.quantity and intent.task in ("size", "compare") else intent.task
    if intent.task == "compare":
        what = f"comparison of {'number' if intent.quantity in (None, 'count') else what}"
    names = " and ".join(name(s) for s in (intent.structure, intent.other_structure) if s is not None)
    if intent.task in ("size", "location") and intent.selector != "each":
        names = f"the {intent.selector.replace('_', ' ')} of the {names}"
    return f"{what} of {names}" if names else what


def _about_in(intent: Intent, language: Language) -> str:
    """The task, then what it is about, with as little grammar as will do."""
    asked = quantity(intent.quantity, language) if intent.quantity else word("tasks", intent.task, language)
    things = [name(s, 1, language) for s in (intent.structure, intent.other_structure) if s is not None]
    things += [] if names_all(intent) else [landmark_words(key, language) for key in intent.landmarks]
    things += [ordinal(intent.selector, language)] * (intent.selector != "each") + list(intent.options)
    return asked if not things else f"{asked}：{listing(things, language)}"


def label(region: Region, language: Language = "en") -> str:
    """A region's label for a person: a structure's or a landmark's name, or the label with spaces."""
    return landmark_words(region.label, language) if region.kind == "landmark" else name(region.label, 1, language)
