"""PNG files that say which program wrote them, so that it may replace them, and no others."""

from __future__ import annotations

from pathlib import Path

from PIL import Image, PngImagePlugin

_KEY = "Software"  # one of the keywords that the PNG specification names


def save(page: Image.Image, path: Path, program: str) -> None:
    """Writes a PNG with the name of the program.

    Raises:
      OSError: The disk refuses.
    """
    about = PngImagePlugin.PngInfo()
    about.add_text(_KEY, program)
    page.save(path, "PNG", pnginfo=about)


def is_by(path: Path, program: str) -> bool:
    """Whether a file is a PNG that the program wrote."""
    try:
        with Image.open(path, formats=["PNG"]) as image:
            return image.info.get(_KEY) == program
    except (OSError, SyntaxError, ValueError):
        return False
