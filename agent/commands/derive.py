"""``fiducial data derive``: boxes, axes, ellipses, distances and angles from the segmentation of a volume."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fiducial.agent.commands.terminal import AsJson, json_text, require_text, stdout_for_results
from fiducial.tools.errors import InputError

if TYPE_CHECKING:
    from fiducial.tools.derive.derive import LabelFits
    from fiducial.tools.derive.label_volume import LabelVolume


def add_derive_command(data: typer.Typer) -> None:
    """Mount the command in the group of the data sets."""
    data.command("derive")(data_derive)


def data_derive(
    volume: Annotated[str, typer.Argument(help="The image volume: NIfTI, NRRD, DICOM, or a folder with a series.")],
    labels: Annotated[str, typer.Argument(help="Its segmentation, of the same voxels: NIfTI, NRRD, DICOM SEG.")],
    metrics: Annotated[
        Path | None, typer.Option(help="A JSON file that names distances and angles between labels.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Write every slice's fits here, one JSON document a line.")] = None,
    as_json: AsJson = False,
) -> None:
    """Derive volumes, boxes, axes and ellipses from a segmentation, slice by slice in three planes.

    Prints one line a label; --json prints everything but the slices as one document, --out writes those.
    """
    for path in (volume, labels):
        require_text(path, "the file's path")
    with stdout_for_results():
        from fiducial.tools.derive.derive import derive
        from fiducial.tools.derive.grid import in_grid_of
        from fiducial.tools.derive.label_volume import read_labels
        from fiducial.tools.derive.landmarks import landmark_metrics, read_metrics

        wanted = read_metrics(metrics) if metrics else None
        mask = read_labels(labels)
        mask = in_grid_of(volume, labels, mask)
        found = derive(mask)
        if not found:
            raise InputError(f"'{labels}' holds no label but 0; give the segmentation of the volume")
        measured = landmark_metrics({f.label: f.centroid_mm for f in found}, wanted) if wanted else []
        if out is not None:
            _write_slices(out, mask, found)
    if as_json:
        document: dict[str, Any] = {"volume": volume, "labels": labels, "notes": mask.notes, "metrics": measured}
        print(json_text({**document, "found": [_document(f) for f in found]}))
        return
    _print_table(found)
    for row in measured:
        print(f"{row['name']}: {row['value']:.2f} {row['unit']}")


def _print_table(found: list[LabelFits]) -> None:
    print(f"{'label':>6} {'mL':>10} {'ellipsoid mm':>13} {'RECIST axial mm':>16}   box (x, y, z) mm")
    for f in found:
        x0, y0, z0, x1, y1, z1 = f.box_xyzxyz_mm
        recist = "{:.1f} × {:.1f}".format(*f.greatest["axial"][1])
        sides = f"{x1 - x0:.1f} × {y1 - y0:.1f} × {z1 - z0:.1f}"
        print(f"{f.label:>6} {f.volume_mm3 / 1000:>10.2f} {f.axes_mm[0]:>13.1f} {recist:>16}   {sides}")


def _document(fits: LabelFits) -> dict[str, Any]:
    greatest = {
        plane: {"slice": index, "recist_long_mm": axes[0], "recist_short_mm": axes[1]}
        for plane, (index, axes) in fits.greatest.items()
    }
    return {
        "label": fits.label,
        "voxels": fits.voxels,
        "volume_mm3": fits.volume_mm3,
        "box_ijk": fits.box_ijk,
        "box_xyzxyz_mm": fits.box_xyzxyz_mm,
        "centroid_xyz_mm": fits.centroid_mm,
        "ellipsoid_axes_mm": fits.axes_mm,
        "greatest_slice": greatest,
    }


def _write_slices(out: Path, mask: LabelVolume, found: list[LabelFits]) -> None:
    from fiducial.tools.derive.derive import planes_of, slice_rows

    planes = planes_of(mask.labels.shape, mask.voxels)
    try:
        with out.open("w", encoding="utf-8") as file:
            for fits in found:
                file.writelines(json_text(row) + "\n" for row in slice_rows(fits, planes))
    except OSError as error:
        raise InputError(f"cannot write {out}: {error.strerror}; name a file in a folder that exists") from None
