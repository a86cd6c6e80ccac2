"""PNG, JPEG, BMP, GIF and WebP through Pillow. Their dpi is a print size, never a scale."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from fiducial.tools.images.decoded import Decoded, DecodeError, Request, require_pixels
from fiducial.tools.images.window import windowed_u8

if TYPE_CHECKING:
    from fiducial.tools.images.kept_scale import KeptScale
    from fiducial.tools.record import BoxXYXY, Scale

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP")
SCALE_KEY = "fiducial:scale"


def decode_raster(file: BinaryIO, request: Request) -> Decoded:
    """Decode one frame. Raises DecodeError for damage, and before allocating for a size beyond the limit."""
    from PIL import Image as Pillow
    from PIL import UnidentifiedImageError

    Pillow.MAX_IMAGE_PIXELS = None  # require_pixels is the limit, with a sentence
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            image = Pillow.open(file, formats=FORMATS)
            require_pixels(*image.size)
            count = int(getattr(image, "n_frames", 1))
            page = request.page("frame", count)
            image.seek(page)
            image.load()
        except (OSError, SyntaxError, ValueError, EOFError, UnidentifiedImageError) as error:
            raise DecodeError("the file is damaged or cut short; copy or export it again") from error
        shown, values = _pixels(image)
        orientation = image.getexif().get(0x0112, 1)
    decoded = Decoded(image.format or "raster", shown, values, "stored value" if values is not None else None)
    decoded.orientation = orientation if orientation in range(1, 9) else 1
    decoded.set_page(page, count)
    _set_scale(decoded, image.info, image.size)
    return decoded


def _pixels(image: Any) -> tuple[NDArray[np.uint8], NDArray[np.float32] | None]:
    """Shown RGB, and the values where the image is grey."""
    mode = image.mode
    if mode in ("I", "I;16", "I;16B", "I;16L", "I;16N", "F"):
        values = np.asarray(image).astype(np.float32)
        return windowed_u8(values), values
    if mode in ("1", "L"):
        grey = np.asarray(image.convert("L"))
        return np.repeat(grey[:, :, None], 3, axis=2), grey.astype(np.float32)
    if mode in ("LA", "PA", "RGBA", "La", "RGBa") or "transparency" in image.info:
        from PIL import Image as Pillow

        image = image.convert("RGBA")
        image = Pillow.alpha_composite(Pillow.new("RGBA", image.size, "white"), image)
    return np.asarray(image.convert("RGB")), None


def _set_scale(decoded: Decoded, info: Mapping[Any, Any], size: tuple[int, int]) -> None:
    """Our own private text if there is one; else the reason why there is no scale."""
    if isinstance(text := info.get(SCALE_KEY), str):
        try:
            kept = read_scale_text(text, size)
        except DecodeError as error:
            decoded.scale_refused = str(error)
            return
        decoded.scale, box = kept.scale.model_dump(), kept.scale_box_xyxy_px
        decoded.world_mm = [list(vector) for vector in kept.world_mm] if kept.world_mm else None
        decoded.scale_box_xyxy_px = list(box) if box else None
        return
    dpi = " (its dpi is a print size)" if info.get("dpi") else ""
    decoded.scale_refused = f"a {decoded.format} file carries no physical scale{dpi}"


def scale_text(
    scale: Scale,
    width_px: int,
    height_px: int,
    scale_box_xyxy_px: BoxXYXY | None = None,
    world_mm: list[list[float]] | None = None,
) -> str:
    """The private text chunk that keeps a scale in a PNG. It names the size, so that a resize elsewhere voids it."""
    kept: dict[str, Any] = {"scale": scale.model_dump(), "width_px": width_px, "height_px": height_px}
    if scale_box_xyxy_px is not None:
        kept["scale_box_xyxy_px"] = scale_box_xyxy_px
    if world_mm is not None:
        kept["world_mm"] = world_mm
    return json.dumps(kept)


def read_scale_text(text: str, size: tuple[int, int]) -> KeptScale:
    """What a private text chunk keeps. Raises DecodeError with the reason why it is refused."""
    from pydantic import ValidationError  # 0.1 s of the worker's start, for the few files that need it

    from fiducial.tools.images.kept_scale import KeptScale

    try:
        kept = KeptScale.model_validate_json(text)
    except (ValidationError, ValueError, RecursionError):
        raise DecodeError(f"the text '{SCALE_KEY}' in the file is not a scale") from None
    if (kept.width_px, kept.height_px) != size:
        raise DecodeError("the scale in the file is of another image size; the image was resized since")
    if not kept.consistent:
        raise DecodeError("the scale in the file and its place in the world contradict each other")
    return kept
