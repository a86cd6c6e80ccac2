"""IU X-ray (Open-i): chest radiographs with the radiologist's report (Demner-Fushman et al., JAMIA 23:304, 2016).

A report, ``ecgen-radiology/1.xml``: ``<uId id="CXR1"/>``, ``<AbstractText Label="FINDINGS">The cardiac silhouette and
mediastinum size are within normal limits…``, ``<AbstractText Label="IMPRESSION">Normal chest x-XXXX.`` and
``<parentImage id="CXR1_1_IM-0001-3001">`` for each image, a PNG of that name. The group is the report, an examination;
the publisher gives no split.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from fiducial.skills.datasets.pictures import inside, read_named
from fiducial.skills.datasets.questions import report_ask
from fiducial.skills.datasets.sample import Problem, Sample
from fiducial.skills.datasets.splits import drawn_split
from fiducial.tools.errors import InputError

SECTIONS = ("FINDINGS", "IMPRESSION")


def _report(path: Path, images: Path) -> Iterator[Sample]:
    """The samples of one report: one an image."""
    try:
        root = ET.parse(path).getroot()
    except (OSError, ET.ParseError) as error:
        raise InputError(f"cannot read the report '{path}' ({error}); copy it again from the data set") from None
    sections = {node.get("Label", ""): " ".join((node.text or "").split()) for node in root.iter("AbstractText")}
    text = "\n".join(f"{name.capitalize()}: {sections[name]}" for name in SECTIONS if sections.get(name))
    study = root.find(".//uId")
    group = (study.get("id") if study is not None else None) or path.stem
    facts = {"indication": sections.get("INDICATION", "")}
    problems = () if text else (Problem("no text", f"{path.name} has neither findings nor impression"),)
    asks = (report_ask(text),) if text else ()
    for node in root.iter("parentImage"):
        name = node.get("id", "")
        inside(images, f"{name}.png", str(path))
        pixels = partial(read_named, images, name)
        yield Sample(name, group, "other", pixels, asks=asks, facts=facts, problems=problems)


def open_iu_xray(root: Path, split: str) -> Iterator[Sample]:
    """Stream the radiographs with their reports; reports without an image give none."""
    folder = next((root / name for name in ("ecgen-radiology", "reports") if (root / name).is_dir()), None)
    if folder is None:
        raise InputError(f"{root} has no ecgen-radiology/ with the reports; unpack NLMCXR_reports.tgz there")
    images = next((root / name for name in ("iu_xray_images", "NLMCXR_png", "images") if (root / name).is_dir()), root)
    paths = sorted(folder.glob("*.xml"))
    yield from drawn_split((sample for path in paths for sample in _report(path, images)), split)
