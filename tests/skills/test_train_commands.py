"""``fiducial pretrain`` and ``fiducial train`` as a person runs them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from PIL import Image as PILImage

from fiducial.skills.adapters import base_hash
from fiducial.skills.datasets.bccd import open_bccd
from fiducial.skills.datasets.hc18 import LINE_PX, open_hc18
from fiducial.skills.datasets.objects import box_fault
from fiducial.skills.datasets.phantoms import sample_of
from fiducial.skills.families.llava.calibration import Calibration
from fiducial.skills.load import load_model
from fiducial.skills.training.embedded.images import key_of
from fiducial.tests.skills.tiny import load_base

if TYPE_CHECKING:
    from fiducial.skills.training.embedded.examples import Encoded

NAMES = {"red_cell": "RBC", "white_cell": "WBC", "platelet": "Platelets"}


def fiducial(*arguments: object) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "2"}
    command = [sys.executable, "-m", "fiducial.cli", *map(str, arguments)]
    return subprocess.run(command, check=False, capture_output=True, text=True, env=environment)


def write_bccd(folder: Path, count: int) -> None:
    """Phantom smears in BCCD's published layout."""
    (folder / "JPEGImages").mkdir(parents=True)
    (folder / "Annotations").mkdir()
    stems = [f"BloodImage_{i:05d}" for i in range(count)]
    for i, stem in enumerate(stems):
        sample = sample_of(2_000_001 + 2 * i)
        PILImage.fromarray(sample.pixels()).save(folder / "JPEGImages" / f"{stem}.jpg", quality=92)
        height, width = sample.pixels().shape[:2]
        rows, size = [], f"<size><width>{width}</width><height>{height}</height></size>"
        for o in sample.objects:
            corners = zip(("xmin", "ymin", "xmax", "ymax"), np.add(o.box_xyxy_px, [1, 1, 0, 0]).round(), strict=True)
            box = "".join(f"<{key}>{int(value)}</{key}>" for key, value in corners)
            rows.append(f"<object><name>{NAMES[o.label]}</name><bndbox>{box}</bndbox></object>")
        (folder / "Annotations" / f"{stem}.xml").write_text(f"<annotation>{size}{''.join(rows)}</annotation>")
    (folder / "train.txt").write_text("\n".join(stems) + "\n")


def write_hc18(folder: Path, count: int) -> None:
    """Phantom heads in HC18's published layout, with the annotator's line."""
    (folder / "images").mkdir(parents=True)
    rows, names = ["filename,pixel size(mm),head circumference (mm)"], [f"{i:03d}_HC.png" for i in range(count)]
    for i, name in enumerate(names):
        sample = sample_of(2_000_002 + 2 * i)
        pixels, ellipse = sample.pixels(), sample.objects[0].ellipse_px
        assert ellipse is not None
        assert sample.scale is not None
        y, x = np.mgrid[: pixels.shape[0], : pixels.shape[1]] + 0.5
        t = np.deg2rad(ellipse.angle_deg)
        dx, dy = x - ellipse.center_xy_px[0], y - ellipse.center_xy_px[1]
        u, v = dx * np.cos(t) + dy * np.sin(t), dy * np.cos(t) - dx * np.sin(t)
        inside = np.hypot(u / (ellipse.semi_major_px + LINE_PX), v / (ellipse.semi_minor_px + LINE_PX)) < 1
        PILImage.fromarray(pixels).save(folder / "images" / name)
        mask = PILImage.fromarray((inside * 255).astype(np.uint8))
        mask.save(folder / "images" / name.replace(".png", "_Annotation.png"))
        rows.append(f"{name},{sample.scale.column_mm},0")
    (folder / "pixel_size_and_hc.csv").write_text("\n".join(rows) + "\n")
    (folder / "train.txt").write_text("\n".join(names) + "\n")


def test_what_is_written_in_the_published_layouts_is_read_back(tmp_path: Path) -> None:
    write_bccd(tmp_path / "bccd", 1)
    write_hc18(tmp_path / "hc18", 1)
    (smear,), (head,) = open_bccd(tmp_path / "bccd", "train"), open_hc18(tmp_path / "hc18", "train")
    truth = sample_of(2_000_001)
    height, width = truth.pixels().shape[:2]
    found, drawn_px = ([o.box_xyxy_px for o in s.objects] for s in (smear, truth))
    expected = [
        box for box in drawn_px if box_fault(box, (width, height)) is None
    ]  # what is mostly outside is no truth
    assert 20 < len(expected) < len(drawn_px)
    assert np.array(found) == pytest.approx(np.clip(expected, 0, [width, height] * 2), abs=0.51)
    ellipse, drawn = head.objects[0].ellipse_px, sample_of(2_000_002).objects[0].ellipse_px
    assert ellipse is not None
    assert drawn is not None
    assert ellipse.semi_major_px == pytest.approx(drawn.semi_major_px, abs=0.5)


@pytest.mark.parametrize("options", [(), ("--activated",)])
def test_an_adapter_is_trained_loaded_and_asked(
    tiny_base: Path, encoded: list[Encoded], tmp_path: Path, smear_file: Path, options: tuple[str, ...]
) -> None:
    """The images are encoded already, as they are when a second skill is trained on a base."""
    out, data = tmp_path / "out", tmp_path / "data"
    data.mkdir()
    (out / "work").mkdir(parents=True)
    key = key_of(load_base(tiny_base).model.vision_tower, data, "fit")
    torch.save({"key": key, "rows": [vars(image) for image in encoded]}, out / "work" / "encoded.pt")
    done = fiducial("train", "detect", "--base", tiny_base, "--data", data, "--out", out, "--max-steps", 2, *options)
    assert done.returncode == 0, done.stderr
    manifest = json.loads((out / "detect" / "manifest.json").read_text())
    assert manifest["base_sha256"] == base_hash(tiny_base)
    assert manifest["skills"] == ["detect"]
    assert any(name.startswith("parity.") for name in manifest["metrics"])
    assert manifest["recipe"]["steps"] == 2
    assert manifest["activated"] == bool(options)
    from fiducial.skills.base import FindArgs
    from fiducial.tools.images.open_image import open_image

    session = load_model(str(tiny_base), out).open(open_image(smear_file))
    found = session.perform("detect", FindArgs(structure="red_cell", exactly_count=2))
    assert len(found.regions) == 2  # type: ignore[attr-defined]


def test_a_base_that_cannot_be_trained_on_is_one_sentence(tiny_base: Path, tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    config = json.loads((tiny_base / "config.json").read_text())
    (tmp_path / "base" / "config.json").write_text(json.dumps(config))
    done = fiducial("train", "detect", "--base", tmp_path / "base", "--data", tmp_path, "--out", tmp_path / "out")
    assert done.returncode == 2
    assert done.stderr.strip().splitlines()[-1].startswith("fiducial: the base ")
    assert "Traceback" not in done.stderr


@pytest.fixture
def smear_file(tmp_path: Path) -> Path:
    PILImage.fromarray(sample_of(2_000_001).pixels()).save(tmp_path / "smear.png")
    return tmp_path / "smear.png"


@pytest.mark.slow
def test_a_base_and_an_adapter_are_trained_from_files(tmp_path: Path) -> None:
    write_bccd(tmp_path / "data" / "bccd", 4)
    write_hc18(tmp_path / "data" / "hc18", 4)
    out = tmp_path / "out"
    done = fiducial("pretrain", "--data", tmp_path / "data", "--out", out, "--max-steps", 1)
    assert done.returncode == 0, done.stderr
    assert set(Calibration.load(out / "base").clouds) == {"blood_smear", "head_ultrasound"}
    other = fiducial("pretrain", "--data", tmp_path / "data", "--out", out, "--max-steps", 2, "--resume")
    assert other.returncode == 2
    assert "another recipe" in other.stderr
    again = fiducial("pretrain", "--data", tmp_path / "data", "--out", out, "--max-steps", 1)
    assert again.returncode == 2
    assert "--resume" in again.stderr
    done = fiducial(
        "train",
        "detect",
        "--base",
        out / "base",
        "--data",
        tmp_path / "data",
        "--out",
        out / "adapters",
        "--max-steps",
        2,
    )
    assert done.returncode == 0, done.stderr
    assert load_model(str(out / "base")).name == "llava:base"
