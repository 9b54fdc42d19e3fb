"""How many of Debian's stamps the perceptual hash knows again, and how fast pairs are found.

    python benchmarks/near_duplicates.py [/usr/share/tuxpaint/stamps]

The package is tuxpaint-stamps-default. Prints a line for each change of the pictures.
"""

import argparse
import io
import time
from pathlib import Path

import interleaved
import machine
import numpy as np
from PIL import Image

from hw2.errors import DataError
from hw2.input.files import decode, perceptual
from hw2.input.files.frame import Frame

SQUARE = Frame(perceptual.SIDE, "stretch")
EDGE = 20  # a twentieth


def jpeg(picture):
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=60)
    return np.asarray(Image.open(file))


def lighter(factor):
    return lambda picture: np.clip(picture * factor, 0, 255).astype(np.uint8)


CHANGES = {
    "scaled to half": lambda picture: decode.resize(picture, 50),
    "JPEG of quality 60": jpeg,
    "darker by a fifth": lighter(0.8),
    "brighter by a fifth": lighter(1.2),
    "cropped by a twentieth on each side": lambda p: p[
        len(p) // EDGE : -(len(p) // EDGE), p.shape[1] // EDGE : -(p.shape[1] // EDGE)
    ],
}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", nargs="?", default="/usr/share/tuxpaint/stamps")
    folder = parser.parse_args().folder
    interleaved.head(machine.cpu() | machine.libraries("numpy", "pillow"), as_json=False)
    pictures = []
    for path in sorted(Path(folder).rglob("*.png")):
        try:
            pictures.append(decode.picture(path, 100))
        except DataError as error:
            print(error)

    def hashed(picture):
        value = perceptual.hash_of(decode.resize(np.ascontiguousarray(picture), SQUARE))
        return None if value is None else np.uint64(value)

    before = [hashed(picture) for picture in pictures]
    kept = [at for at, value in enumerate(before) if value is not None]
    hashes = np.array([before[at] for at in kept])
    print(f"{len(pictures)} pictures, {len(kept)} with a hash")
    print(f"{len(perceptual.pairs(hashes))} near-duplicates among them")
    for name, change in CHANGES.items():
        after = [hashed(change(pictures[at])) for at in kept]
        known = [
            b is not None and int(a ^ b).bit_count() <= perceptual.DISTANCE
            for a, b in zip(hashes, after, strict=True)
        ]
        print(f"{name}: {np.mean(known):.1%} known again")
    many = np.random.default_rng(0).integers(0, 2**64, 50_000, np.uint64)
    started = time.perf_counter()
    perceptual.pairs(many)
    print(f"pairs of 50,000 hashes: {time.perf_counter() - started:.2f} s")


if __name__ == "__main__":
    main()
