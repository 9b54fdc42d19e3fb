"""Pictures in `.npy` and `.npz` files, with their labels beside them or inside."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import os
import zipfile
from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO

import numpy as np

from hw2.errors import DataError
from hw2.input.examples import Examples
from hw2.input.files import decode
from hw2.input.files.duplicates import DIGEST
from hw2.input.files.names import shown
from hw2.input.files.rules import Rules
from hw2.input.scanning import scan
from hw2.input.sources import arrays, table

SUFFIXES = (".npy", ".npz")
FORMS = (
    "images are [N, H, W] or [N, H, W, 1 or 3], of uint8 or uint16, or of float in [0, 1] or "
    "[0, 255]"
)
IMAGES = ("images", "x", "data", "arr_0")  # what images are called in an .npz, best first
LABELS = ("labels", "y", "target", "arr_1")
PREFIXES = {  # of the parts, in the names of files and in the names within an .npz
    "train": ("train", "training"),
    "validation": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}
MAX_DEFLATE_RATIO = 1032  # zlib.net/zlib_tech.html


def read_arrays(
    path: str | os.PathLike[str],
    labels_path: str | os.PathLike[str] | None,
    part: str,
    rules: Rules | None = None,
    *,
    class_names: Sequence[str] | None = None,
    report: scan.Report | None = None,
) -> Examples:
    """Reads images and labels; an `.npy` file of images stays on disk, mapped into memory.

    Args:
      path: An `.npy` file of images, or an `.npz` file of images or of both.
      labels_path: A `.csv` or `.npy` file. None looks into the `.npz`, then beside `path`.
      part: "train", "validation" or "test", where an `.npz` holds several.
      rules: What is accepted.
      class_names: The classes there may be; by default those that the labels name.
      report: As `survey.of`.

    Raises:
      DataError: A file is damaged or holds something else; there are not as many labels as
        images; a label is no class. Nothing that is pickled is ever loaded.

    Cost: one pass over all pixels, which checks their range and hashes them.
    """
    path, rules = os.fspath(path), rules or Rules()
    images, labels = _images_in(path, part)
    if labels_path is not None:
        labels = None
    elif labels is None:
        labels_path = find_labels(path)
        if labels_path is None:
            raise DataError(
                f"no labels for {shown(path)} - neither in it nor beside it; add "
                f"{shown(_stem(path))}_labels.csv or .npy, or give IMAGES,LABELS"
            )
    if labels is None:
        labels, classes = _read_labels(os.fspath(labels_path), len(images), class_names)
    else:
        labels, classes = _named(path, labels, len(images), class_names)
    scale, digests, bad = _pass(path, images, report)
    if bad:
        raise next(iter(bad.values()))
    notes = scan.check_conflicts(path, _Numbers(), labels, digests, rules)
    examples = arrays.lazy_examples(
        lambda index: _levels(images[index], scale), images.shape, labels, classes, digests
    )
    return dataclasses.replace(examples, notes=notes)


@dataclasses.dataclass(frozen=True, eq=False)
class Opened:
    """Images to classify.

    Attributes:
      picture: From an index to uint8 `[H, W, C]`; raises a `DataError` where one is bad.
      shape: (N, H, W, C).
      labels: `[N]` int32, -1 where nothing says.
      notes: Why labels that were found are not used.
    """

    picture: Callable[[int], np.ndarray] = dataclasses.field(repr=False)
    shape: tuple[int, int, int, int]
    labels: np.ndarray = dataclasses.field(repr=False)
    notes: tuple[str, ...] = ()


def to_classify(
    path: str | os.PathLike[str],
    labels_path: str | os.PathLike[str] | None,
    part: str,
    class_names: Sequence[str],
    *,
    report: scan.Report | None = None,
) -> Opened:
    """Opens images to classify, with labels if there are any, as `read` finds them.

    Labels that were given must fit; those that were found in or beside a file are left out
    where they do not, with a note.

    Raises:
      DataError: A file is damaged or holds something else.

    Cost: one pass over the pixels of floats, which finds their range; none otherwise.
    """
    path = os.fspath(path)
    images, inside = _images_in(path, part)
    labels, notes = np.full(len(images), -1, np.int32), ()
    found = labels_path or (find_labels(path) if inside is None else path)
    try:
        if labels_path is None and inside is not None:
            labels, _ = _named(path, inside, len(images), class_names)
        elif found:
            labels, _ = _read_labels(os.fspath(found), len(images), class_names)
    except DataError as error:
        if labels_path is not None:
            raise
        notes = (f"labels are not used: {error}",)
    scale, bad = None, {}
    if images.dtype.kind == "f":
        scale, _, bad = _pass(path, images, report)

    def picture(index: int) -> np.ndarray:
        if index in bad:
            raise bad[index]
        return _levels(images[index], scale)

    return Opened(picture, images.shape, labels, notes)


class _Numbers:
    """Names of the pictures of an array, without making them all."""

    def __getitem__(self, index: int) -> str:
        return f"{index:05d}"


def find(folder: str | os.PathLike[str], part: str) -> str | None:
    """Finds the images of a part in a folder: `train_images.npy`, `train.npz` and the like."""
    names = {name.lower(): name for name in os.listdir(folder)}
    stems = [f"{p}{end}" for p in PREFIXES[part] for end in ("_images", "-images", "", "_x")]
    stems += [f"x_{p}" for p in PREFIXES[part]]
    stems += ["images", "data"] if part == "train" else []
    for stem in stems:
        for suffix in SUFFIXES:
            if stem + suffix in names:
                return os.path.join(folder, names[stem + suffix])
    return None


def find_labels(path: str) -> str | None:
    """Finds the labels of a file of images: `X_images.npy` has `X_labels.csv` or `.npy`.

    As with images, capitals do not matter; what is spelt alike goes first.
    """
    folder, stem = os.path.split(_stem(path))
    there = os.listdir(folder or os.curdir)
    in_lower_case = {name.lower(): name for name in there}
    for spelt, names in (
        (stem, dict(zip(there, there, strict=True))),
        (stem.lower(), in_lower_case),
    ):
        stems = [f"{spelt}_labels", f"{spelt}-labels"]
        for images, labels in (("images", "labels"), ("x_", "y_"), ("_x", "_y")):
            if images in spelt:
                stems.append(spelt.replace(images, labels))
        for name in (s + suffix for s in [*stems, spelt, "labels"] for suffix in (".csv", ".npy")):
            candidate = os.path.join(folder, names.get(name, ""))
            if candidate != path and os.path.isfile(candidate):
                return candidate
    return None


def _images_in(path: str, part: str) -> tuple[np.ndarray, np.ndarray | None]:
    """Images `[N, H, W, C]`, and the labels that an `.npz` has besides."""
    images, labels = _in_archive(path, part) if path.endswith(".npz") else (_mapped(path), None)
    return _checked_shape(path, images), labels


def _stem(path: str) -> str:
    return os.path.splitext(path)[0]


def _mapped(path: str) -> np.ndarray:
    """Maps an `.npy` file, after checking that it is as long as its header says."""
    with _naming(path), open(path, "rb") as file:
        shape, fortran, dtype, start = _header(file)
        _check_length(shape, dtype, os.fstat(file.fileno()).st_size - start)
        if 0 in shape:  # an empty file cannot be mapped
            return np.zeros(shape, dtype)
        order = "F" if fortran else "C"
        return np.memmap(path, dtype, "r", offset=start, shape=shape, order=order)


def _in_archive(path: str, part: str) -> tuple[np.ndarray, np.ndarray | None]:
    """Images and, where they are there, labels of a part."""
    with _naming(path), zipfile.ZipFile(path) as archive:
        members = {m.filename.removesuffix(".npy").lower(): m for m in archive.infolist()}
        prefixed = [
            ([f"x_{p}", f"{p}_images", f"{p}_x"], [f"y_{p}", f"{p}_labels", f"{p}_y"])
            for p in PREFIXES[part]
        ]
        for images, labels in [*prefixed, (IMAGES, LABELS)]:
            found = next((members[name] for name in images if name in members), None)
            if found is not None:
                other = next((members[name] for name in labels if name in members), None)
                named = _member(archive, other) if other is not None else None
                return _member(archive, found), named
        wanted = ", ".join(IMAGES[:2])
        raise _Refused(f"no {part} images among {sorted(members)[:8]}", f"call them {wanted}")


def _member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    if member.file_size > max(member.compress_size, 1) * MAX_DEFLATE_RATIO:
        raise _Refused(f"{member.filename} claims {member.file_size} bytes", "fetch it again")
    with archive.open(member) as file:
        shape, fortran, dtype, start = _header(file)
        _check_length(shape, dtype, member.file_size - start)
        content = file.read()
    return np.frombuffer(content, dtype).reshape(shape, order="F" if fortran else "C")


def _header(file: BinaryIO) -> tuple[tuple[int, ...], bool, np.dtype, int]:
    """Shape, order, dtype, and where the values begin."""
    start = file.read(8)
    if not start:
        raise _Refused("empty", "fetch it again")
    if start[:6] != b"\x93NUMPY":
        raise _Refused(f"not an array (starts with {start!r})", "write it with numpy.save")
    file.seek(0)
    version = np.lib.format.read_magic(file)
    readers = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    if version not in readers:
        raise _Refused(f"version {version} of the format", "write it with numpy.save")
    shape, fortran, dtype = readers[version](file)
    if dtype.hasobject:
        raise _Refused("it holds pickled objects, which may run code", FORMS)
    return shape, fortran, dtype, file.tell()


def _check_length(shape: tuple[int, ...], dtype: np.dtype, found: int) -> None:
    expected = math.prod(shape) * dtype.itemsize
    if found < expected:
        raise _Refused(
            f"truncated: its header says {expected} bytes of values, there are {found}",
            "fetch it again",
        )


def _checked_shape(path: str, images: np.ndarray) -> np.ndarray:
    """`[N, H, W, C]` images, or a refusal."""
    got = f"got {images.dtype} {list(images.shape)}"
    kind, width = images.dtype.kind, images.dtype.itemsize
    if kind != "f" and not (kind == "u" and width <= 2):
        raise _bad(path, got, FORMS)
    if images.ndim not in (3, 4) or 0 in images.shape or images.shape[3:] not in ((), (1,), (3,)):
        raise _bad(path, got, FORMS)
    return images[..., np.newaxis] if images.ndim == 3 else images


def _pass(
    path: str, images: np.ndarray, report: scan.Report | None
) -> tuple[float | None, np.ndarray, dict[int, DataError]]:
    """Checks the range of all values, and hashes every picture.

    Returns:
      By what floats are multiplied to become levels, None for integers; the hashes; what is
      wrong with bad pictures, which have no say in the first.
    """
    is_float = images.dtype.kind == "f"
    highest, bad = -math.inf, {}
    digests = np.zeros(len(images), DIGEST)
    for index in range(len(images)):
        image = np.asarray(images[index])
        if is_float:
            low, high = float(image.min()), float(image.max())  # NaN if one value is
            if not (math.isfinite(low) and math.isfinite(high)):
                bad[index] = _bad(path, f"image {index} has NaN or infinite values", FORMS)
            elif low < 0 or high > 255:
                bad[index] = _bad(path, f"image {index} has values in [{low:g}, {high:g}]", FORMS)
            else:
                highest = max(highest, high)
        digests[index] = decode.digest_of(image.tobytes())
        if report and (index + 1) % 4096 == 0:
            report(index + 1, len(images))
    return (255.0 if highest <= 1 else 1.0) if is_float else None, digests, bad


def _levels(image: np.ndarray, scale: float | None) -> np.ndarray:
    """One picture as uint8; 16 bits keep their high byte, as in PNG files."""
    if image.dtype == np.uint8:
        return np.asarray(image)
    if scale is None:
        return (image >> 8).astype(np.uint8)
    return np.rint(image.astype(np.float32) * scale).astype(np.uint8)


def _read_labels(
    path: str, count: int, class_names: Sequence[str] | None
) -> tuple[np.ndarray, tuple[str, ...]]:
    if path.endswith(".csv"):
        return table.read_labels(path, count, class_names)
    return _named(path, np.asarray(_mapped(path)), count, class_names)


def _named(
    path: str, labels: np.ndarray, count: int, class_names: Sequence[str] | None
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Labels of an array by the names of their classes, numbers or words."""
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1 or labels.dtype.kind not in "iuU":
        raise DataError(
            f"bad labels in {shown(path)} - got {labels.dtype} {list(labels.shape)}; "
            "labels are [N] integers or words"
        )
    if len(labels) != count:
        raise DataError(
            f"bad labels in {shown(path)} - {len(labels)} labels for {count} images; "
            "take both from one data set"
        )
    if labels.dtype.kind == "i" and labels.min() < 0:
        row = int(np.flatnonzero(labels < 0)[0])
        raise DataError(
            f"bad labels in {shown(path)} - label {labels[row]} of image {row} is below 0; mend it"
        )
    values, numbers = np.unique(labels, return_inverse=True)
    names = [str(value) for value in values]
    if class_names is None:
        if len(names) < 2:
            raise DataError(
                f"no classes in {shown(path)} - one class only, {names[0]}; two are needed at least"
            )
        return numbers.astype(np.int32), tuple(names)
    position = {name: label for label, name in enumerate(class_names)}
    for value, name in enumerate(names):
        if name not in position:
            row = int(np.flatnonzero(numbers == value)[0])
            raise DataError(
                f"bad labels in {shown(path)} - label {shown(repr(name))} of image {row} is none "
                f"of the {len(position)} classes; leave the picture out, or train a model on it"
            )
    return np.array([position[name] for name in names], np.int32)[numbers], tuple(class_names)


class _Refused(Exception):
    """A reason and a remedy, to which `_naming` adds the path."""


@contextlib.contextmanager
def _naming(path: str) -> Iterator[None]:
    """Turns whatever goes wrong with a file into a `DataError` that names it."""
    try:
        yield
    except _Refused as refused:
        raise _bad(path, *refused.args) from None
    except zipfile.BadZipFile as error:
        raise _bad(path, f"not a whole archive ({shown(str(error))})", "fetch it again") from error
    except MemoryError:
        raise
    except Exception as error:  # a damaged file makes zipfile and NumPy raise nearly anything
        text = shown(str(error))[:200] or type(error).__name__
        is_of_disk = isinstance(error, OSError) and error.strerror
        why = error.strerror.lower() if is_of_disk else f"damaged ({text})"
        raise _bad(path, why, "fetch it again") from error


def _bad(path: str, why: str, remedy: str) -> DataError:
    return DataError(f"bad array in {shown(path)} - {why}; {remedy}")
