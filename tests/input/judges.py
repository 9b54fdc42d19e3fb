"""Reads a damaged file as the program does, and compares what is accepted with a plain reading.

Each function returns whether the file was accepted; a refusal must be a Fault that names the file.
"""

import csv
import gzip
import io
import os
import re
import unicodedata
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from hw2.config import settings
from hw2.errors import DataError, Fault, RunError, UsageError
from hw2.input import source
from hw2.input.examples import Examples
from hw2.input.files import decode
from hw2.input.files.rules import Rules
from hw2.input.stream import disk_cache
from hw2.runs import checkpoints, disk
from tests.input import intact

MAX_PIXELS = 4_000_000
SIDE = 12


def judge(format: str) -> Callable[[Path], bool]:
    """The function for a format."""
    if format in (*intact.PICTURES, *intact.REFUSED):
        return picture
    if format in intact.ARRAYS:
        return array
    return {
        "csv": listed,
        "flagfile": flagfile,
        "manifest": manifest,
        "decoded": decoded,
        "state": checkpoint,
        "tensors": checkpoint,
        "tfrecord": shard,
    }[format]


def named(error: Fault, path: Path) -> bool:
    """False, for a refusal; it must be one line about this file or its folder."""
    text = str(error)
    if str(path) not in text and str(path.parent) not in text:
        raise RuntimeError(f"the file is not named: {error}") from error
    if "Traceback" in text or (not text.isprintable() and "\n  " not in text):
        raise RuntimeError(f"this is no line for a user: {error!r}") from error
    return False


def picture(path: Path) -> bool:
    """A picture is RGB of the size that was asked for, the same from the disk and from memory."""
    try:
        found = decode.inspect(path, max_pixels=MAX_PIXELS)
        read = decode.picture(path, SIDE, max_pixels=MAX_PIXELS)
    except DataError as error:
        return named(error, path)
    if read.dtype != np.uint8 or read.ndim != 3 or read.shape[2] != 3:
        raise RuntimeError(f"{read.dtype} {read.shape} is no picture")
    if min(read.shape[:2]) != SIDE or min(found.width, found.height) < 1:
        raise RuntimeError(f"{read.shape} has another short side")
    again = decode.picture_in(path.read_bytes(), "again", SIDE, max_pixels=MAX_PIXELS)
    if not np.array_equal(read, again):
        raise RuntimeError("two readings differ")
    return True


def listed(path: Path) -> bool:
    """Each picture of a list has the class of its line, and is the file of its line."""
    try:
        examples = source.read(path)
    except DataError as error:
        return named(error, path)
    text = path.read_bytes().decode("utf-8-sig", "surrogateescape")
    _, *rows = csv.reader(io.StringIO(text, newline=""))
    expected = {_word(os.path.normpath(name.strip())): _word(label) for name, label in rows}
    for name, label in zip(examples.names, examples.labels, strict=True):
        if _word(examples.class_names[label]) != expected[_word(name)]:
            raise RuntimeError(f"{name} is of class {examples.class_names[label]}")
    if len(expected) != len(examples):
        raise RuntimeError(f"{len(examples)} pictures of {len(expected)} lines")
    _loads(examples)
    return True


def _word(label: str) -> str:
    """A label without what may differ: spaces round it, its form in Unicode, zeros before it."""
    word = unicodedata.normalize("NFC", label).strip()
    return str(int(word)) if re.fullmatch(r"-?[0-9]{1,18}", word) else word


def array(path: Path) -> bool:
    """Each picture of an array has its own pixels and its own label."""
    try:
        examples = source.read(path.parent if path.name.startswith("train") else _images(path))
    except DataError as error:
        return named(error, path)
    images, labels = _plainly(path)
    if len(examples) != len(labels):
        raise RuntimeError(f"{len(examples)} pictures of {len(labels)}")
    for row, label in enumerate(labels):
        if _word(examples.class_names[examples.labels[row]]) != _word(str(label)):
            raise RuntimeError(f"picture {row} is of {examples.labels[row]}, not of {label}")
    _loads(examples)
    highest = float(images.max())
    for row, image in enumerate(images):
        levels = image.astype(np.float64) * (
            255 if image.dtype.kind == "f" and highest <= 1 + 1e-6 else 1
        )
        if image.dtype.itemsize == 2 and image.dtype.kind == "u":
            levels = levels // 256
        found = examples.load(row, min(image.shape[:2])).astype(float).reshape(image.shape)
        if np.abs(found - levels).max() > 1:
            raise RuntimeError(f"picture {row} has other pixels")
    return True


def _images(path: Path) -> Path:
    return path.with_name("y_images.npy") if "labels" in path.name else path


def _plainly(path: Path) -> tuple[np.ndarray, list]:
    """Reads images and labels by NumPy alone."""
    labels = intact.LABELS.tolist()
    if "labels" in path.name:
        return intact.images(), _labels(path)
    if path.suffix == ".npz":
        with zipfile.ZipFile(path) as file:
            images = np.load(io.BytesIO(file.read("images.npy")))
            if "labels.npy" in file.namelist():  # else those beside it are read
                labels = np.load(io.BytesIO(file.read("labels.npy"))).tolist()
        return images, labels
    if path.suffix == ".npy":
        return np.load(path), labels
    content = path.read_bytes()
    content = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
    shape = np.frombuffer(content, ">u4", 3, 4)
    return np.frombuffer(content, np.uint8, offset=16).reshape(shape), labels


def _labels(path: Path) -> list:
    if path.suffix == ".npy":
        return np.load(path).reshape(-1).tolist()
    text = path.read_bytes().decode("utf-8-sig", "surrogateescape")
    header, *rows = csv.reader(io.StringIO(text, newline=""))
    if len(header) == 2:
        rows.sort(key=lambda row: int(row[0]))
    return [row[-1].strip() for row in rows]


def _loads(examples: Examples) -> None:
    for index in range(len(examples)):
        found = examples.load(index, SIDE)
        if found.dtype != np.uint8 or found.shape[2] != examples.channels:
            raise RuntimeError(f"{found.dtype} {found.shape} is no picture")


def shard(path: Path) -> bool:
    """Each picture of a shard that is read can be loaded."""
    try:
        _loads(source.read(path))
    except DataError as error:
        return named(error, path)
    return True


def flagfile(path: Path) -> bool:
    """What a flagfile sets, a flagfile can repeat."""
    try:
        config = settings.parse(["train.py", f"--flagfile={path}"])
    except UsageError as error:
        if error.args[0].isprintable():
            return False  # a rule that is broken need not name the file
        raise RuntimeError(f"this is no line for a user: {error!r}") from error
    kept = path.with_name("kept.cfg")
    kept.write_text(settings.to_flagfile(config), encoding="utf-8", errors="surrogateescape")
    again = settings.parse(["train.py", f"--flagfile={kept}"])
    differ = [
        name
        for name, value in vars(config).items()
        if value != getattr(again, name) and settings.KINDS[name] != "one command"
    ]
    if differ:
        raise RuntimeError(f"{differ} differ when repeated")
    return True


def manifest(path: Path) -> bool:
    """A damaged manifest changes nothing but the time of the scan."""
    data = path.parent / "data"
    examples = source.read(data, rules=Rules(cache_folder=str(path.parents[1])))
    if list(examples.names) != ["a/x.png", "b/y.png"] or examples.labels.tolist() != [0, 1]:
        raise RuntimeError(f"{examples.names} are of {examples.labels}")
    _loads(examples)
    return True


def decoded(path: Path) -> bool:
    """A damaged cache gives the pixels that decoding gives, whether it is used or not."""
    data = path.parents[2]
    examples = disk_cache.kept(source.read(data), str(path.parents[1]), warn=lambda text: None)
    for index, name in enumerate(examples.names):
        if not np.array_equal(examples.load(index, SIDE), decode.picture(data / name, SIDE)):
            raise RuntimeError(f"{name} has other pixels")
    return True


def checkpoint(path: Path) -> bool:
    """A checkpoint whose hashes fit again, as after a mistake of a program, is read or refused."""
    folder = path.parent
    hashes = {n: disk.sha256(folder / n) for n in (checkpoints.TENSORS, checkpoints.STATE)}
    (folder / checkpoints.MANIFEST).write_bytes(disk.json_bytes(hashes))
    try:
        checkpoints.read(folder).tensors()
    except RunError as error:
        return named(error, path)
    return True


def prepared(folder: Path, format: str) -> tuple[Path, list[bytes]]:
    """Where the damaged file goes, with what has to be beside it; and good files of the format."""
    place = folder / format
    place.mkdir()
    if format in (*intact.PICTURES, *intact.REFUSED):
        return place / f"x.{format}", intact.pictures(format)
    if format in ("csv", "manifest", "decoded"):
        return _beside_pictures(place, format)
    if format == "flagfile":
        return place / "x.cfg", intact.flagfiles()
    if format in ("state", "tensors"):
        state = {"best": {"top1": 0.5}, "identity": {"class_names": ["a", "b"]}}
        tensors = {"model/w": np.ones([2, 3], np.float32), "ema/w": np.zeros(3)}
        folder = checkpoints.write(place, 7, tensors, state).path
        path = folder / (checkpoints.STATE if format == "state" else checkpoints.TENSORS)
        return path, [path.read_bytes()]
    if format == "tfrecord":
        return place / "x.tfrecord", [intact.shard()]
    if format.startswith("labels"):
        np.save(place / "y_images.npy", intact.images())
        return place / f"y_{format.replace('_', '.')}", intact.arrays(format)
    np.save(place / "x_labels.npy", intact.LABELS)
    if format == "idx":
        labels = bytes([0, 0, 8, 1, 0, 0, 0, 4, *intact.LABELS])
        (place / "train-labels-idx1-ubyte").write_bytes(labels)
        return place / "train-images-idx3-ubyte", intact.arrays(format)
    return place / f"x.{format}", intact.arrays(format)


def _beside_pictures(place: Path, format: str) -> tuple[Path, list[bytes]]:
    if format == "csv":
        for number, name in enumerate("xy"):
            Image.new("RGB", (5, 5), (number, 0, 0)).save(place / f"{name}.png")
        return place / "x.csv", intact.lists()
    data = place / "manifests" / "data" if format == "manifest" else place
    for name in ("a/x.png", "b/y.png"):
        (data / name).parent.mkdir(parents=True)
        values = np.random.default_rng(zlib.crc32(name.encode())).integers(0, 256, [20, 30, 3])
        Image.fromarray(values.astype(np.uint8)).save(data / name)
    if format == "manifest":
        source.read(data, rules=Rules(cache_folder=str(place)))
        [path] = (place / "manifests").glob("*.npz")
        return path, [path.read_bytes()]
    cache = place / ".cache"
    examples = disk_cache.kept(source.read(place), str(cache))
    for index in range(2):
        examples.load(index, SIDE)
    [path] = cache.glob("*/*.index")
    return path, [path.read_bytes()]
