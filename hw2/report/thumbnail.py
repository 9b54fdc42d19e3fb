"""Small images as data URIs."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

_SIDE = 96  # pixels of the shorter side


def encode_example(load, index: int, side: int = _SIDE) -> str:
    """Encodes an example as it is before preprocessing, cropped to at most twice its width."""
    pixels = load(index, side)
    height, width = pixels.shape[:2]
    high, wide = min(height, 2 * side), min(width, 2 * side)
    top, left = (height - high) // 2, (width - wide) // 2
    return encode(pixels[top : top + high, left : left + wide])


def encode(pixels: np.ndarray, *, exact: bool = False) -> str:
    """Encodes uint8 `[H, W]` or `[H, W, 1 or 3]` as a data URI: JPEG, or PNG if `exact`."""
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    buffer = io.BytesIO()
    if exact:
        Image.fromarray(pixels).save(buffer, "PNG", optimize=True)
    else:
        Image.fromarray(pixels).save(buffer, "JPEG", quality=82)
    kind = "png" if exact else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"


def stretched(values: np.ndarray) -> np.ndarray:
    """Scales numbers to uint8, the smallest to 0 and the largest to 255."""
    values = values.astype(np.float64)
    low, high = values.min(), values.max()
    return np.round(255 * (values - low) / max(high - low, 1e-12)).astype(np.uint8)
