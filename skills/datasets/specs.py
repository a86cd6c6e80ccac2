"""The built-in data sets as plugins; a reader is imported when it is opened."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from fiducial.tools.hooks import DatasetSpec

if TYPE_CHECKING:
    from fiducial.skills.datasets.sample import Sample


def _reader(module: str, function: str) -> Callable[[Path, str], Iterator[Sample]]:
    def read(root: Path, split: str) -> Iterator[Sample]:
        samples: Iterator[Sample] = getattr(import_module(f"fiducial.skills.datasets.{module}"), function)(root, split)
        return samples

    return read


# name: (reader's file, its function, description)
READERS: dict[str, tuple[str, str, str]] = {
    "bccd": ("bccd", "open_bccd", "Blood smears: boxes of red cells, white cells and platelets (BCCD, MIT)"),
    "hc18": ("hc18", "open_hc18", "Fetal head ultrasound: the head's ellipse and circumference (HC18, CC BY 4.0)"),
    "phantoms": ("phantoms", "open_phantoms", "Phantoms of blood smears and fetal heads, drawn with exact truth"),
    "dsb2018": (
        "dsb2018",
        "open_dsb2018",
        "Cell nuclei under several microscopes: masks (Data Science Bowl 2018, CC0)",
    ),
    "vqa_rad": ("vqa_rad", "open_vqa_rad", "Closed and open questions about radiology images (VQA-RAD, CC0)"),
    "voc": ("voc", "open_voc", "Any set of boxes in the layout of Pascal VOC"),
    "coco": ("coco", "open_coco", "Any set of boxes and outlines in the layout of COCO"),
    "masks": ("mask_folder", "open_mask_folder", "Any folder of images with masks of the same names"),
    "medmultipoints": (
        "medmultipoints",
        "open_medmultipoints",
        "Points, boxes and counts in endoscopy and microscopy: records (MedMultiPoints)",
    ),
    "medmultipoints_chat": (
        "medmultipoints",
        "open_medmultipoints_chat",
        "The same as the publisher's instruction lines, in his own splits (MedMultiPoints)",
    ),
    "kvasir_vqa": ("kvasir_vqa", "open_kvasir_vqa", "Questions about endoscopy (Kvasir-VQA-x1, CC BY-NC 4.0)"),
    "medvision": ("medvision", "open_medvision", "Boxes, sizes, angles, distances on slices (MedVision plans)"),
    "slake": ("slake", "open_slake", "Questions in English and Chinese, boxes of organs in radiology images (SLAKE)"),
    "path_vqa": ("path_vqa", "open_path_vqa", "Questions about pathology images (PathVQA, MIT)"),
    "rsna": ("rsna", "open_rsna", "Chest radiographs: boxes of opacities (RSNA Pneumonia 2018)"),
    "cephalograms": ("cephalograms", "open_cephalograms", "Skull radiographs: 19 landmarks, two readers (ISBI 2015)"),
    "medmnist": ("medmnist", "open_medmnist", "Small images of one class each (MedMNIST v2, CC BY 4.0)"),
    "iu_xray": ("iu_xray", "open_iu_xray", "Chest radiographs with their reports (IU X-ray, Open-i)"),
    "m3d_seg": ("m3d_seg", "open_m3d_seg", "CT volumes: 3-D boxes of organs and lesions from masks (M3D-Seg)"),
    "m3d_cap": ("m3d_cap", "open_m3d_cap", "CT volumes with the text of their report (M3D-Cap)"),
    "m3d_vqa": ("m3d_vqa", "open_m3d_vqa", "Questions with four options about CT volumes (M3D-VQA)"),
    "chimed_vl": ("chimed_vl", "open_chimed_vl", "Chinese questions about biomedical figures (ChiMed-VL)"),
    "peir_gross": ("peir_gross", "open_peir_gross", "Photographs of gross pathology with captions (PEIR Gross)"),
}

DATASETS = [
    DatasetSpec(name, description, _reader(module, function))
    for name, (module, function, description) in READERS.items()
]
