"""A run folder as commit a8426b4 wrote it, at step 5 of a training on digits.

Its text files are in tests/jobs/old_run, whose README.md says where they come from. The rest is
made here, by rules that give the same bits on every machine.
"""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
from safetensors.numpy import save
from sklearn.datasets import load_digits

TEXTS = Path(__file__).parent / "old_run"
STEP = 5
SHAPES = {  # of simple_cnn for 12x12x1 pictures and 10 classes, with windows of 3x3
    "conv1/b": (10,),
    "conv1/w": (3, 3, 1, 10),
    "conv2/b": (20,),
    "conv2/w": (3, 3, 10, 20),
    "dense1/b": (50,),
    "dense1/w": (20, 50),
    "linear/b": (10,),
    "linear/w": (50, 10),
}


def write(folder: Path) -> None:
    """Lays out the run folder; `folder` must not exist."""
    checkpoint = folder / "checkpoints" / f"step-{STEP:08d}"
    checkpoint.mkdir(parents=True)
    for name in ("flags.cfg", "class_names.txt", "metrics.csv"):
        shutil.copy(TEXTS / name, folder)
    (folder / "split.csv").write_bytes(split().encode())
    contents = {
        "tensors.safetensors": save(tensors()),
        "state.json": (TEXTS / "state.json").read_bytes(),
    }
    for name, content in contents.items():
        (checkpoint / name).write_bytes(content)
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    (checkpoint / "manifest.json").write_text(json.dumps(hashes))
    (folder / "checkpoints" / "last").symlink_to(checkpoint.name)
    (folder / "checkpoints" / "best").symlink_to(checkpoint.name)


def split() -> str:
    """Makes `split.csv`, in which every fifth picture validates."""
    rows = (
        f"{index:05d},{label},{'train' if index % 5 else 'validation'},"
        for index, label in enumerate(load_digits().target)
    )
    return "".join(f"{row}\r\n" for row in ("name,class,part,digest", *rows))


def tensors() -> dict[str, np.ndarray]:
    """Makes the weights, their averages, and Adam's mean and mean square of the gradients."""
    random = np.random.RandomState(1)  # its numbers are the same in every version of NumPy

    def thousandths(shape):  # uniform in [-1, 1]
        return random.randint(-1000, 1001, shape, np.int32) / 1000

    made = {}
    for name, shape in SHAPES.items():
        scale = 1 / 16 if name.endswith("b") else (6 / np.prod(shape[:-1])) ** 0.5
        weights = scale * thousandths(shape)
        made[f"model/stages/{name}"] = weights
        made[f"ema/stages/{name}"] = weights + thousandths(shape) / 64
        made[f"optimizer/mean/stages/{name}"] = thousandths(shape) / 32
        made[f"optimizer/square/stages/{name}"] = ((3 + thousandths(shape)) / 256) ** 2
    return {name: np.asarray(made[name], np.float32) for name in sorted(made)}
