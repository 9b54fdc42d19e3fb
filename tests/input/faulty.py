"""Folders with one thing wrong in them, what is said about it, and processes with limits."""

import json
import math
import os
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hw2.errors import DataError
from hw2.input import source
from hw2.input.files.rules import Rules

ROOT = Path(__file__).parents[2]


def noise(seed=0, size=(40, 30)):
    """A picture like no other."""
    values = np.random.default_rng(seed).integers(0, 256, [size[1], size[0], 3], np.uint8)
    return Image.fromarray(values)


def tree(root, names=("a/good.png", "b/good.png")):
    """Class folders with good pictures, all different."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        noise(zlib.crc32(name.encode())).save(root / name, "PNG")
    return root


def refused(path, part="train", class_names=None, **rules):
    """What is said about data that cannot be used, whole."""
    with pytest.raises(DataError) as caught:
        source.read(path, part, Rules(**rules), class_names=class_names)
    assert caught.value.exit_code == 3
    return str(caught.value)


def listed(root, reasons, good=2):
    """What is said about a folder where some pictures cannot be used."""
    count = len(reasons)
    fraction = math.ceil(1000 * count / (count + good)) / 1000
    lines = [f"  bad picture in {root}/{name} - {why}" for name, why in sorted(reasons.items())]
    first = (
        f"bad pictures in {root} - {count} of {count + good} cannot be used; replace or remove "
        f"them, or --on_bad_file=skip --max_bad_fraction={fraction:g}:"
    )
    return "\n".join([first, *lines])


# Says for each path what `source.read` makes of it, and by how many kB the peak of memory rose.
_READ = """
import json, re, resource, sys
from hw2.errors import DataError
from hw2.input import source

def memory(name):
    return int(re.search(name + r":\\s+(\\d+)", open("/proc/self/status").read())[1])

import numpy, PIL.Image, hw2.input.sources.npy, hw2.input.sources.idx
resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
limit = (memory("VmSize") << 10) + 2**30  # a failure must not take the machine with it
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
before, said = memory("VmHWM"), []
for path in sys.argv[1:]:
    try:
        said.append(f"{len(source.read(path))} pictures")
    except DataError as error:
        said.append(str(error))
json.dump([said, memory("VmHWM") - before], sys.stdout)
"""


def read_in_a_process(*paths):
    """What is said about each path, and by how many kB the peak of memory rose over all of them."""
    process = subprocess.run(
        [sys.executable, "-c", _READ, *map(str, paths)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,  # for ever is what a FIFO takes
    )
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout)
