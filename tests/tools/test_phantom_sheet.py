"""What holds for every scene alike: names, truth documents, files that repeat byte for byte, the sheet of all."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from PIL import Image

from fiducial.tools.errors import InputError
from fiducial.tools.phantoms import SCENES
from fiducial.tools.phantoms.cephalogram import make_cephalogram
from fiducial.tools.phantoms.chest import make_chest
from fiducial.tools.phantoms.ct_lesion import make_ct_lesion
from fiducial.tools.phantoms.files import write_scene
from fiducial.tools.phantoms.lesion_3d import make_lesion_3d
from fiducial.tools.phantoms.nuclei import make_nuclei
from fiducial.tools.phantoms.polyp import make_polyp
from fiducial.tools.phantoms.sheet import SHOWN, write_sheet

SMALL = {
    "nuclei": lambda seed: make_nuclei(seed, width_px=96, height_px=80),
    "nuclei_he": lambda seed: make_nuclei(seed, "he", width_px=96, height_px=80),
    "nuclei_unscaled": lambda seed: make_nuclei(seed, scaled=False, width_px=96, height_px=80),
    "polyp": lambda seed: make_polyp(seed, 128, 112),
    "ct_lesion": lambda seed: make_ct_lesion(seed, 64, 8),
    "lesion_3d": lambda seed: make_lesion_3d(seed, (24, 28, 16)),
    "cephalogram": lambda seed: make_cephalogram(seed, 126),
    "chest": lambda seed: make_chest(seed, 128),
}


def digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.mark.parametrize("name", SMALL)
def test_files_repeat_byte_for_byte_and_the_truth_names_them(name, tmp_path):
    scene = SMALL[name](4)
    image, truth = write_scene(scene, tmp_path / "a")
    write_scene(SMALL[name](4), tmp_path / "b")
    assert digests(tmp_path / "a") == digests(tmp_path / "b")
    write_scene(SMALL[name](5), tmp_path / "c", stem=f"{scene.name}_4")
    assert digests(tmp_path / "a") != digests(tmp_path / "c")
    document = json.loads(truth.read_text(encoding="utf-8"))
    assert document["scene"] == scene.name == name and document["seed"] == 4 and document["image"] == image.name
    named = {image.name, truth.name, *([document["labels"]] if "labels" in document else [])}
    assert {path.name for path in (tmp_path / "a").iterdir()} == named
    labels = [item["label"] for item in document["objects"]]
    assert document["counts"] == {label: labels.count(label) for label in document["counts"]}
    assert len({item["id"] for item in document["objects"]}) == len(labels)
    for quantity in [*document["quantities"], *(q for item in document["objects"] for q in item["quantities"])]:
        assert set(quantity) <= {"quantity", "value", "unit", "of"} and quantity["unit"]
        assert set(quantity.get("of", [])) <= set(document["landmarks_xy_px"])


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("x")
    for make in (SMALL["polyp"], SMALL["ct_lesion"]):
        with pytest.raises(InputError, match="cannot write"):
            write_scene(make(1), tmp_path / "file")
    with pytest.raises(InputError, match="cannot write"):
        write_sheet(tmp_path / "none" / "sheet.png")


def test_the_sheet_in_the_documentation_shows_every_kind():
    assert set(SMALL) | {"blood_smear", "fetal_head"} == set(SHOWN) | {"nuclei_unscaled"}
    assert set(SHOWN) <= set(SCENES)
    assert [SCENES[name](1).name for name in ("nuclei_unscaled", "polyp")] == ["nuclei_unscaled", "polyp"]
    picture = Path(__file__).parents[2] / "docs" / "phantoms.png"
    assert picture.stat().st_size < 400_000
    assert Image.open(picture).size == (864, 756)
