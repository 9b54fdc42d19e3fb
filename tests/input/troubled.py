"""A folder with every kind of trouble in it, of any size; its files are hard links to a few."""

import io
import os
from pathlib import Path

import numpy as np
from PIL import Image

from tests.input.faulty import noise

CLASSES = [f"class{number:02d}" for number in range(20)]
EVERY = 100  # one file of so many is bad


def build(root: Path, count: int) -> dict[str, int]:
    """Writes `count` files below `root`.

    Returns:
      How many pictures there are of each kind: good, bad, in two classes, of one level, elsewhere.
    """
    makers = _bad()
    counts = dict.fromkeys(("good", "bad"), 0)
    for name in [*CLASSES, "empty", "texts only"]:
        (root / name).mkdir(parents=True)
    for number in range(count - 40):
        folder = root / CLASSES[number % len(CLASSES)]
        if number % EVERY == 7:
            suffix, content = makers[number // EVERY % len(makers)]
            (folder / f"{number:06d}{suffix}").write_bytes(content)
            counts["bad"] += 1
        else:
            (folder / f"{number:06d}.png").write_bytes(_tiny(number))
            counts["good"] += 1
    counts["conflicts"] = _conflicts(root, max(12, count // 50))
    counts["flat"] = 4
    for number in range(4):
        Image.new("RGB", (8, 8), (number, 0, 0)).save(root / CLASSES[number] / f"flat{number}.png")
    for number in range(10):
        (root / "texts only" / f"{number}.txt").write_text("0")
        (root / CLASSES[2] / f".cloud{number}.jpg.icloud").write_bytes(b"bplist00")
    noise(1).save(root / CLASSES[3] / "misnamed.jpg", "PNG")
    os.link(root / CLASSES[3] / "misnamed.jpg", root / CLASSES[3] / "again.png")
    counts["good"] += 2
    (root / CLASSES[4] / "dangling.png").symlink_to("nowhere.png")
    counts["bad"] += 1
    (root.parent / "elsewhere").mkdir()
    noise(2).save(root.parent / "elsewhere" / "1.png")
    (root / CLASSES[5] / "link").symlink_to(root.parent / "elsewhere")
    run = root / "run"
    (run / "checkpoints").mkdir(parents=True)
    (run / "flags.cfg").touch()
    return counts


def _conflicts(root: Path, count: int) -> int:
    """Links pictures of one class into another."""
    for number in range(count):
        path = root / CLASSES[0] / f"twice{number}.png"
        path.write_bytes(_tiny(10**9 + number))
        os.link(path, root / CLASSES[1] / path.name)
    return 2 * count


def _tiny(number: int) -> bytes:
    """A picture of 8x8 like no other."""
    values = np.random.default_rng(number).integers(0, 256, [8, 8], np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, "PNG", compress_level=0)
    return buffer.getvalue()


def _bad() -> list[tuple[str, bytes]]:
    good = _tiny(0)
    return [
        (".png", b""),
        (".png", good[:-20]),
        (".jpg", b"<html>404</html>"),
        (".png", b"version https://git-lfs.github.com/spec/v1\n"),
        (".tif", b"II*\0" + bytes(30)),
        (".png", good[:16] + b"\0\1\0\0\0\1\0\0" + good[24:]),  # 65536x65536
    ]
