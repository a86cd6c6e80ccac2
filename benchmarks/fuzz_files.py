"""Files for ``fuzz.py``: sound seeds of each format, seeded mutations of them, and bombs."""

from __future__ import annotations

import gzip
import io
import struct
import tempfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

Rng = np.random.Generator
Seeds = list[tuple[str, bytes]]
AFFINE = np.array([[-1.9, 0.1, 0, 30], [0.1, 1.9, 0.2, -20], [0, -0.2, 3, 5], [0, 0, 0, 1]])


# --- sound files ------------------------------------------------------------------------------------------------------


def dicom_seeds() -> Seeds:
    """What pydicom brings, small: CT, MR, RLE, JPEG 2000, deflated, palette, multi-frame; a segmentation of our own."""
    import pydicom

    folder = Path(pydicom.__file__).parent / "data" / "test_files"
    names = ["CT_small.dcm", "MR_small.dcm", "MR_small_RLE.dcm", "693_J2KR.dcm", "image_dfl.dcm", "JPEG2000.dcm"]
    names += ["MR_small_bigendian.dcm", "SC_rgb_small_odd.dcm", "dicomdirtests/98892001/CT2N/6293", "liver_1frame.dcm"]
    return [(name, (folder / name).read_bytes()) for name in names if (folder / name).exists()]


def nifti_seeds() -> Seeds:
    """Volumes with both affines: integer, scaled float, four axes, compressed, colour, version 2, with an extension."""
    import nibabel

    rng, found = np.random.default_rng(1), []
    arrays: dict[str, Any] = {
        "int16": rng.integers(-900, 900, (9, 8, 7)).astype(np.int16),
        "float32": rng.normal(size=(9, 8, 7)).astype(np.float32),
        "four": rng.integers(0, 99, (9, 8, 7, 3)).astype(np.uint8),
        "flat": rng.integers(0, 99, (19, 18)).astype(np.uint8),
    }
    colour = np.zeros((9, 8, 7), np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")]))
    for kind in (nibabel.Nifti1Image, nibabel.Nifti2Image):
        for name, array in {**arrays, "colour": colour}.items():
            image = kind(array, AFFINE)  # type: ignore[no-untyped-call]
            image.header.set_xyzt_units("mm")
            image.set_sform(AFFINE, code=1)
            image.set_qform(AFFINE, code=1)
            found.append((f"{kind.__name__} {name}", bytes(image.to_bytes())))
        extension: Any = nibabel.nifti1.Nifti1Extension
        image.header.extensions.append(extension("comment", b"<labels>" + b" " * 700))
        found.append((f"{kind.__name__} extended", bytes(image.to_bytes())))
    return [*found, ("compressed", gzip.compress(found[0][1]))]


def tiff_seeds() -> Seeds:
    """Plain, tiled, compressed, planar, sixteen bits, OME and ImageJ."""
    import tifffile

    rng = np.random.default_rng(2)
    grey, rgb = rng.integers(0, 256, (40, 48), np.uint8), rng.integers(0, 256, (40, 48, 3), np.uint8)
    um = {"PhysicalSizeX": 0.5, "PhysicalSizeXUnit": "µm", "PhysicalSizeY": 0.5, "PhysicalSizeYUnit": "µm"}
    options: dict[str, tuple[Any, dict[str, Any]]] = {
        "plain": (grey, {}),
        "zlib": (rgb, {"compression": "zlib", "predictor": True}),
        "tiles": (rgb, {"tile": (16, 16)}),
        "planar": (np.moveaxis(rgb, -1, 0), {"photometric": "rgb", "planarconfig": "separate"}),
        "pages": (np.stack([grey] * 3).astype(np.uint16), {"photometric": "minisblack"}),
        "big": (grey, {"bigtiff": True}),
        "ome": (grey, {"ome": True, "metadata": {"axes": "YX", **um}}),
        "imagej": (grey, {"imagej": True, "resolution": (4, 4), "metadata": {"unit": "um"}}),
    }
    found = []
    for name, (pixels, arguments) in options.items():
        buffer = io.BytesIO()
        tifffile.imwrite(buffer, pixels, **arguments)
        found.append((name, buffer.getvalue()))
    return found


def png_seeds() -> Seeds:
    """Grey, colour, palette, transparent, sixteen bits, and one with a scale of ours."""
    from PIL import Image as Pillow

    from fiducial.tools.images.save import save_png
    from fiducial.tools.record import Scale

    rng = np.random.default_rng(3)
    rgb = Pillow.fromarray(rng.integers(0, 256, (40, 48, 3), np.uint8))
    found = []
    pictures = {mode: rgb.convert(mode) for mode in ("L", "RGB", "P", "RGBA", "1", "LA")}
    pictures["I;16"] = Pillow.fromarray(rng.integers(0, 65536, (40, 48), np.uint16))
    for mode, picture in pictures.items():
        buffer = io.BytesIO()
        picture.save(buffer, format="PNG")
        found.append((mode, buffer.getvalue()))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.png"
        save_png(path, np.asarray(rgb), Scale(row_mm=0.5, column_mm=0.25, source="calibrated"))
        found.append(("scaled", path.read_bytes()))
    return found


def nrrd_seeds() -> Seeds:
    """Volumes with a place: raw, compressed, of three components. None where pynrrd, an extra, is not installed."""
    try:
        import nrrd
    except ImportError:
        return []
    rng, found = np.random.default_rng(4), []
    place = {"space": "left-posterior-superior", "space origin": [1.0, 2.0, 3.0]}
    steps = np.array([[0.5, 0, 0], [0, 0.7, 0.1], [0, -0.1, 2]])
    kinds = ["domain"] * 3
    grey = rng.integers(0, 999, (9, 8, 7)).astype(np.int16)
    colour = rng.integers(0, 99, (3, 9, 8, 7)).astype(np.uint8)
    options: dict[str, tuple[Any, dict[str, Any]]] = {
        "raw": (grey, {"encoding": "raw", "space directions": steps, "kinds": kinds}),
        "gzip": (grey, {"encoding": "gzip", "space directions": steps, "kinds": kinds}),
        "text": (grey[:4, :3, :2], {"encoding": "ascii", "space directions": steps, "kinds": kinds}),
        "components": (
            colour,
            {"space directions": np.vstack([np.full(3, np.nan), steps]), "kinds": ["vector", *kinds]},
        ),
    }
    with tempfile.TemporaryDirectory() as folder:
        for name, (values, header) in options.items():
            path = Path(folder) / "a.nrrd"
            nrrd.write(str(path), values, {**place, **header})
            found.append((name, path.read_bytes()))
    return found


# --- mutations --------------------------------------------------------------------------------------------------------


def flip(data: bytearray, rng: Rng) -> None:
    """A few bytes anywhere become others."""
    for at in rng.integers(0, len(data), int(rng.integers(1, 9))):
        data[at] = int(rng.integers(0, 256))


def flip_head(data: bytearray, rng: Rng) -> None:
    """A few bytes of the first thousand become others, or the ends of their range."""
    for at in rng.integers(0, min(len(data), 1200), int(rng.integers(1, 6))):
        data[at] = int(rng.choice([0, 1, 127, 128, 255, int(rng.integers(0, 256))]))


def cut_off(data: bytearray, rng: Rng) -> None:
    """The end is missing."""
    del data[int(rng.integers(1, len(data))) :]


def take_out(data: bytearray, rng: Rng) -> None:
    """A piece within is missing, or stands twice."""
    at = int(rng.integers(0, len(data)))
    piece = data[at : at + int(rng.integers(1, 64))]
    data[at : at + len(piece)] = piece * int(rng.choice([0, 2]))


def length_field(data: bytearray, rng: Rng) -> None:
    """Two or four bytes become a number at the edge of what such a field can say."""
    size = int(rng.choice([2, 4]))
    at = int(rng.integers(0, max(1, min(len(data), 4000) - size)))
    top = 2 ** (8 * size)
    value = int(rng.choice([0, 1, top - 1, top - 2, top // 2, top // 2 - 1, 0x7FFF, 0xFFFF])) % top
    data[at : at + size] = value.to_bytes(size, str(rng.choice(["little", "big"])))


ODD_FLOATS = (0.0, -1.0, 1e-30, 1e30, float("nan"), float("inf"), -0.0, 7.0, 0.5, 1.01)


def nifti_field(data: bytearray, rng: Rng) -> None:
    """A named field of a NIfTI-1 header: sizes, types, spacings, codes, units, quaternion, rows of the affine."""
    if data[344:348] != b"n+1\0":
        flip_head(data, rng)
        return
    shorts = {"dim": (40, 8), "datatype": (70, 1), "bitpix": (72, 1), "codes": (252, 2)}
    floats = {"pixdim": (76, 8), "offset": (108, 1), "scaling": (112, 2), "quaternion": (256, 6), "sform": (280, 12)}
    for _ in range(int(rng.integers(1, 4))):
        name = str(rng.choice([*shorts, *floats, "unit"]))
        if name == "unit":
            data[123] = int(rng.integers(0, 256))
        elif name in shorts:
            start, count = shorts[name]
            value = int(
                rng.choice([-1, 0, 1, 2, 3, 4, 7, 8, 16, 64, 128, 512, 2048, 32767, int(rng.integers(-999, 999))])
            )
            struct.pack_into("<h", data, start + 2 * int(rng.integers(0, count)), value)
        else:
            start, count = floats[name]
            at = start + 4 * int(rng.integers(0, count))
            old = struct.unpack_from("<f", data, at)[0]
            new = float(rng.choice([*ODD_FLOATS, -old, old * 1.5, old + 0.2, old * 1000]))
            struct.pack_into("<f", data, at, np.float32(new))


DICOM_KEYWORDS = {
    "PixelSpacing": ["0\\0", "-1\\1", "0.5", "nan\\1", "1e99\\1", "a\\b", "0.5\\0.25\\1"],
    "ImageOrientationPatient": [
        "1\\0\\0\\1\\0\\0",
        "0\\0\\0\\0\\0\\0",
        "2\\0\\0\\0\\2\\0",
        "1\\0\\0",
        "nan\\0\\0\\0\\1\\0",
    ],
    "ImagePositionPatient": ["0\\0", "nan\\0\\0", "1e300\\0\\0", "x\\y\\z", ""],
    "NumberOfFrames": ["0", "-3", "99999999", "2", "1.5", "x"],
    "RescaleSlope": ["0", "nan", "1e300", "-1", "x"],
    "RescaleIntercept": ["inf", "x", "-1e300"],
    "WindowWidth": ["0", "-5", "nan", "1e-300"],
    "WindowCenter": ["nan", "x", "1e300"],
    "Modality": ["SEG", "US", "CR", "SM", "", "XX"],
    "PhotometricInterpretation": ["MONOCHROME1", "RGB", "PALETTE COLOR", "YBR_FULL_422", "X"],
}
DICOM_NUMBERS = ("Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "SamplesPerPixel", "PixelRepresentation")


def dicom_field(data: bytearray, rng: Rng) -> None:
    """The value of a named element of an explicit, little-endian data set, with its length set right."""
    from pydicom.datadict import dictionary_VR, tag_for_keyword

    for _ in range(int(rng.integers(1, 4))):
        name = str(rng.choice([*DICOM_KEYWORDS, *DICOM_NUMBERS]))
        tag = int(tag_for_keyword(name) or 0)
        head = struct.pack("<HH", tag >> 16, tag & 0xFFFF)
        vr = dictionary_VR(tag).encode()
        if name in DICOM_NUMBERS:
            value = struct.pack("<H", int(rng.choice([0, 1, 2, 3, 7, 8, 16, 32, 64, 512, 8000, 65535])))
        else:
            value = str(rng.choice(DICOM_KEYWORDS[name])).encode()
            value += b" " * (len(value) % 2)
        new = head + vr + struct.pack("<H", len(value)) + value
        at = data.find(head + vr)
        if at >= 0:
            (length,) = struct.unpack_from("<H", data, at + 6)
            data[at : at + 8 + length] = new
        elif (at := data.find(b"\x28\0\x10\0")) > 0:
            data[at:at] = new


def png_chunk(data: bytearray, rng: Rng) -> None:
    """A field of the header or the bytes of a chunk, with the checksum set right."""
    at, chunks = 8, []
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        chunks.append((at, length))
        at += 12 + length
    at, length = chunks[int(rng.integers(0, len(chunks)))]
    if not 0 < length <= len(data) - at - 12:
        return
    where = at + 8 + int(rng.integers(0, length))
    data[where] = int(rng.choice([0, 1, 2, 255, int(rng.integers(0, 256))]))
    struct.pack_into(">I", data, at + 8 + length, zlib.crc32(bytes(data[at + 4 : at + 8 + length])))


def tiff_tag(data: bytearray, rng: Rng) -> None:
    """Type, count or value of an entry of the first directory."""
    if data[:4] != b"II*\0":
        flip_head(data, rng)
        return
    (start,) = struct.unpack_from("<I", data, 4)
    if start + 2 > len(data):
        return
    (count,) = struct.unpack_from("<H", data, start)
    at = start + 2 + 12 * int(rng.integers(0, max(1, count)))
    if at + 12 > len(data):
        return
    which = int(rng.integers(0, 4))
    if which == 0:
        struct.pack_into("<H", data, at + 2, int(rng.integers(0, 20)))
    elif which == 1:
        struct.pack_into("<I", data, at + 4, int(rng.choice([0, 2, 3, 1000, 2**31, 2**32 - 1])))
    elif which == 2:
        struct.pack_into("<I", data, at + 8, int(rng.choice([0, 1, 7, 8, 32, 40, 6000, 60000, 2**31, 2**32 - 1])))
    else:
        struct.pack_into("<H", data, at, int(rng.choice([254, 256, 257, 258, 259, 262, 273, 277, 279, 317, 320, 339])))


def nrrd_line(data: bytearray, rng: Rng) -> None:
    """A line of the header is missing, comes twice, or holds other numbers."""
    end = data.find(b"\n\n")
    lines = bytes(data[: max(end, 0)]).split(b"\n")
    at = int(rng.integers(0, len(lines)))
    number = rng.choice([b"0", b"-1", b"nan", b"inf", b"1e300", b"99999999999", b"(1,2)", b"none", b"x"])
    words = lines[at].split(b" ")
    words[int(rng.integers(0, len(words)))] = bytes(number)
    lines[at : at + 1] = ([], [lines[at]] * 2, [b" ".join(words)], [b" ".join(words)])[int(rng.integers(0, 4))]
    data[: max(end, 0)] = b"\n".join(lines)


Mutation = Callable[[bytearray, Rng], None]
ANY: tuple[Mutation, ...] = (flip, flip_head, cut_off, take_out, length_field)
FORMATS: dict[str, tuple[Callable[[], Seeds], tuple[Mutation, ...]]] = {
    "dicom": (dicom_seeds, (*ANY, dicom_field, dicom_field, dicom_field)),
    "nifti": (nifti_seeds, (*ANY, nifti_field, nifti_field, nifti_field, nifti_field)),
    "tiff": (tiff_seeds, (*ANY, tiff_tag, tiff_tag)),
    "png": (png_seeds, (*ANY, png_chunk, png_chunk)),
    "nrrd": (nrrd_seeds, (*ANY, nrrd_line, nrrd_line, nrrd_line)),
}


def mutants(name: str, count: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """So many mutated files of a format: what was done to which seed, and the bytes."""
    make, mutations = FORMATS[name]
    seeds = make()
    if not seeds:
        return
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        title, data = seeds[int(rng.integers(0, len(seeds)))]
        mutated = bytearray(gzip.decompress(data) if title == "compressed" else data)
        mutation = mutations[int(rng.integers(0, len(mutations)))]
        mutation(mutated, rng)
        yield (
            f"{mutation.__name__} of {title}",
            gzip.compress(bytes(mutated), 1) if title == "compressed" else bytes(mutated),
        )


# --- bombs ------------------------------------------------------------------------------------------------------------


def _zeros_deflated(size: int, wbits: int) -> bytes:
    """So many zero bytes as a deflate stream, or (wbits 15) a zlib one, made of one block many times."""
    block_size = 4 << 20
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = packer.compress(bytes(block_size)) + packer.flush(zlib.Z_FULL_FLUSH)  # complete in itself, so it repeats
    body = block * (size // block_size) + packer.flush()
    if wbits < 0:
        return body
    length = size // block_size * block_size
    return b"\x78\xda" + body + struct.pack(">I", (length % 65521) << 16 | 1)


def tiff_bomb(side: int, samples: int, bits: int) -> bytes:
    """A TIFF of side × side pixels of zeros in one strip."""
    data = _zeros_deflated(side * side * samples * bits // 8 + (4 << 20), 15)
    depths = struct.pack(f"<{samples}H", *[bits] * samples)
    tags = [
        (256, 4, 1, side),
        (257, 4, 1, side),
        (258, 3, samples, 8),
        (259, 3, 1, 8),
        (262, 3, 1, 2 if samples > 1 else 1),
    ]
    tags += [(273, 4, 1, 8 + len(depths)), (277, 3, 1, samples), (278, 4, 1, side), (279, 4, 1, len(data))]
    entries = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    start = 8 + len(depths) + len(data)
    start += start % 2
    head = struct.pack("<2sHI", b"II", 42, start) + depths + data
    return head + b"\0" * (start - len(head)) + struct.pack("<H", len(tags)) + entries + bytes(4)


def bombs() -> Iterator[tuple[str, bytes]]:
    """Small files that claim or unfold into more than a machine has."""
    import nibabel
    import pydicom

    path = Path(pydicom.__file__).parent / "data" / "test_files" / "image_dfl.dcm"
    meta = 132 + 12 + int(pydicom.filereader.read_file_meta_info(path).FileMetaInformationGroupLength)
    yield "deflated DICOM, 4 GB in 4 MB", path.read_bytes()[:meta] + _zeros_deflated(4 << 30, -15)
    yield "TIFF, 1 MB -> 900 MB, many pixels", tiff_bomb(30_000, 1, 8)
    yield "TIFF, 1 MB -> 900 MB, deep pixels", tiff_bomb(7_500, 4, 32)
    volume = bytearray(nibabel.Nifti1Image(np.zeros((4, 4, 4), np.float32), np.eye(4)).to_bytes())
    struct.pack_into("<4h", volume, 40, 3, 2048, 2048, 2048)
    yield "NIfTI claiming 32 GB", bytes(volume)
    yield "compressed NIfTI claiming 32 GB", gzip.compress(bytes(volume))
    struct.pack_into("<4h", volume, 40, 3, 1000, 1000, 250)
    yield "compressed NIfTI, 1 MB -> 1 GB", _gzip_zeros(bytes(volume[:352]), 1 << 30)
    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 0, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", _zeros_deflated(900_000_000, 15)), (b"IEND", b"")]
    body = b"".join(struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks)
    yield "PNG, 1 MB -> 900 MB", b"\x89PNG\r\n\x1a\n" + body
    text = b"a\0\0" + _zeros_deflated(1 << 30, 15)
    ztxt = struct.pack(">I", len(text)) + b"zTXt" + text + struct.pack(">I", zlib.crc32(b"zTXt" + text))
    sound = dict(png_seeds())["L"]
    yield "PNG with 1 GB of text", sound[:33] + ztxt + sound[33:]


def _gzip_zeros(head: bytes, size: int) -> bytes:
    """A gzip file of a head and so many zeros, in two members."""
    body = _zeros_deflated(size, -15)
    crc, block = 0, bytes(4 << 20)
    for _ in range(size // len(block)):
        crc = zlib.crc32(block, crc)
    return gzip.compress(head) + b"\x1f\x8b\x08\0\0\0\0\0\x02\xff" + body + struct.pack("<II", crc, size & 0xFFFFFFFF)
