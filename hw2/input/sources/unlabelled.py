"""Finds images to classify, labelled or not, in any source that training reads."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Sequence

import numpy as np

from hw2.errors import DataError
from hw2.input import labels as labelling
from hw2.input.examples import Examples
from hw2.input.files import decode, formats, frame, spelling
from hw2.input.files.frame import Size
from hw2.input.files.names import first_few, shown
from hw2.input.files.rules import Rules
from hw2.input.scanning import scan
from hw2.input.scanning.listing import Listing
from hw2.input.sources import arrays, builtin, folder, idx, layout, mistaken, npy, shards, table

FORMS = (
    f"give a folder of pictures, one picture, a .csv with a column `file`, an .npy or .npz of "
    f"images, IDX files, TFRecord shards, or one of {', '.join(builtin.NAMES)}"
)


@dataclasses.dataclass(frozen=True, eq=False)
class Pictures:
    """Images to classify, in the order of their source; none is opened yet.

    Attributes:
      names: The names in the results: the path below a folder or a list, the index in an array.
      labels: `[N]` int32 indices into the model's classes, -1 for an image without a label; or
        `[N, classes]` uint8 where images have several classes.
      channels: Number of channels of every image: 3 for files; arrays keep their own.
      load: `load(index, size)` as in `Examples`. Raises `DataError` for a bad image.
      notes: Sentences about what was left out or is unusual.
    """

    names: Sequence[str] = dataclasses.field(repr=False)
    labels: np.ndarray = dataclasses.field(repr=False)
    channels: int
    load: Callable[[int, Size], np.ndarray] = dataclasses.field(repr=False)
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.names)

    def forgiving(
        self, class_names: Sequence[str], failed: Callable[[int, DataError], None]
    ) -> Examples:
        """Makes examples for a pipeline; a bad image is reported and replaced by a blank one.

        Args:
          class_names: The model's classes. Images without a label get label 0.
          failed: Called with the index of a bad image and the error, by any thread, before its
            batch is ready.
        """

        def load(index: int, size: Size) -> np.ndarray:
            try:
                return self.load(index, size)
            except DataError as error:
                failed(index, error)
                side = frame.side_of(size)
                return np.zeros([side, side, self.channels], np.uint8)

        labels = self.labels if self.several else np.maximum(self.labels, 0)
        return Examples(tuple(self.names), labels, tuple(class_names), self.channels, load)

    @property
    def several(self) -> bool:
        """Whether the labels are several an image."""
        return labelling.are_several(self.labels)

    def labelled_for(self, several: bool) -> Pictures:
        """Leaves out labels of another kind than the model has, with a note.

        Args:
          several: Whether the model gives an image several classes.
        """
        if self.several == several or not (self.several or (self.labels >= 0).any()):
            return self
        kinds = ("one label", "several labels")
        note = (
            f"the labels are not compared: they are {kinds[self.several]} a picture, and the "
            f"model gives {kinds[several]}"
        )
        labels = np.full(len(self), -1, np.int32)
        return dataclasses.replace(self, labels=labels, notes=(*self.notes, note))


def find_pictures(
    path: str | os.PathLike[str],
    class_names: Sequence[str],
    rules: Rules | None = None,
    *,
    part: str = "test",
    report: scan.Report | None = None,
) -> Pictures:
    """Finds the images of a path or a name, whose kind is recognized as by `source.read`.

    They are in the order of names in folders, of lines in lists, of indices in arrays, and of
    records in shards, which are sorted by name.

    Args:
      path: As for `source.read`, or a folder of images at any depth, or one image.
      class_names: The model's classes. Images of other classes have no label, with a note.
      rules: Limits on an image, and whether links may lead out of the folder.
      part: "train", "validation" or "test", for a data set that has several.
      report: As for `scan.survey`.

    Raises:
      DataError: The path is none of these, there are no images, or a list or an array cannot be
        read. Bad image files are found only when they are loaded.
    """
    path, rules = os.fspath(path), rules or Rules()
    if path in builtin.NAMES:
        return _of_examples(builtin.load(path, part_of(path, part)), class_names)
    if os.path.isdir(path):
        return _in_folder(path, class_names, rules, part, report)
    images, comma, labels = path.rpartition(",")
    if comma and images.endswith(npy.SUFFIXES) and not os.path.lexists(path):
        return _of_array(npy.to_classify(images, labels, part, class_names, rules, report=report))
    if not os.path.isfile(path):
        raise mistaken.error(path, FORMS, missing="no such file or folder")
    if path.endswith(npy.SUFFIXES):
        return _of_array(npy.to_classify(path, None, part, class_names, rules, report=report))
    if path.endswith(".csv") and table.is_list(path):
        return _of_listing(table.to_classify(path, class_names, rules), rules)
    if idx.is_images(path):
        return _of_images(path, idx.images(path), rules)
    if found := shards.find(path, part):
        return _of_records(found, class_names, rules)
    if _is_picture(path):
        root, name = os.path.split(path)
        nothing = np.array([-1], np.int32)
        return _of_listing(Listing(root, [name], nothing, tuple(class_names), source=path), rules)
    raise mistaken.error(path, FORMS)


def part_of(name: str, part: str) -> str:
    """Returns the part of a built-in data set that is closest to `part`."""
    return "test" if part != "train" and "test" in builtin.PARTS[name] else "train"


def _in_folder(
    path: str,
    class_names: Sequence[str],
    rules: Rules,
    part: str,
    report: scan.Report | None,
) -> Pictures:
    if idx.is_in(path):
        images, labels = idx.to_classify(path, "test" if part != "train" else part)
        if labels is None:
            return _of_images(path, images, rules)
        pictures = _of_images(path, images, rules)
        return _labelled(pictures, [str(n) for n in labels], class_names)
    others = (part, "test", "validation") if part != "train" else (part,)
    if found := next(filter(None, (npy.find(path, other) for other in others)), None):
        return _of_array(npy.to_classify(found, None, part, class_names, rules, report=report))
    if sharded := shards.find(path, part):
        return _of_records(sharded, class_names, rules)
    if parts := layout.parts(path):
        if found := next(filter(None, map(parts.get, others)), None):
            return find_pictures(found, class_names, rules, part=part, report=report)
        raise DataError(
            f"no {part} part in {shown(path)} - it holds {', '.join(parts)}; give one of its "
            "folders, or --part"
        )
    return _of_listing(folder.at_any_depth(path, class_names, rules), rules)


def _of_listing(listing: Listing, rules: Rules) -> Pictures:
    max_pixels, min_size = rules.max_pixels, rules.min_size

    def load(index: int, size: Size) -> np.ndarray:
        listing.check(index)
        if listing.read is not None:
            content, place = listing.read(index), listing.place(index)
            return decode.picture_in(content, place, size, max_pixels=max_pixels, min_size=min_size)
        try:
            path = listing.path(index)
            return decode.picture(path, size, max_pixels=max_pixels, min_size=min_size)
        except DataError as error:  # messages about a list name its line
            message = str(error).replace(shown(listing.path(index)), listing.place(index), 1)
            raise DataError(message) from error

    notes = listing.notes
    inside = sum("/" in name for name in listing.names)
    unknown = 0 if labelling.are_several(listing.labels) else int((listing.labels < 0).sum())
    if inside and 0 < unknown < len(listing) and listing.read is None and listing.lines is None:
        find = spelling.finder(listing.class_names)
        tops = {n.split("/", 1)[0] for n in listing.names if "/" in n}
        tops = {top for top in tops if find(top) < 0}
        words = f": {first_few(sorted(tops))} - no such class in the model" if tops else ""
        notes += (f"{unknown} of {len(listing)} pictures have no label{words}",)
    return Pictures(listing.names, listing.labels, 3, load, notes)


def _of_records(paths: Sequence[str], class_names: Sequence[str], rules: Rules) -> Pictures:
    from hw2.input.sources import (
        records,  # brings TensorFlow, which scanning a folder does not need
    )

    return _of_listing(records.to_classify(paths, class_names), rules)


def _of_array(opened: npy.Opened) -> Pictures:
    def load(index: int, size: Size) -> np.ndarray:
        return decode.resize(opened.picture(index), size)

    count, channels = opened.shape[0], opened.shape[3]
    return Pictures(_numbers(count), opened.labels, channels, load, opened.notes)


def _of_images(path: str, images: np.ndarray, rules: Rules) -> Pictures:
    """Makes unlabelled images from uint8 `[N, H, W]`."""
    arrays.check(path, images, rules)
    images = images[..., np.newaxis]
    labels = np.full(len(images), -1, np.int32)
    return _of_array(npy.Opened(lambda index: images[index], images.shape, labels))


def _of_examples(examples: Examples, class_names: Sequence[str]) -> Pictures:
    pictures = Pictures(
        _numbers(len(examples)), examples.labels, examples.channels, examples.load, examples.notes
    )
    return _labelled(pictures, [examples.class_names[i] for i in examples.labels], class_names)


def _labelled(pictures: Pictures, classes: Sequence[str], class_names: Sequence[str]) -> Pictures:
    """Sets labels by the names of their classes, with a note about those the model lacks."""
    find = spelling.finder(class_names)
    labels = np.array([find(name) for name in classes], np.int32)
    notes = pictures.notes
    if unknown := sorted({name for name in classes if find(name) < 0}):
        count = int((labels < 0).sum())
        notes += (f"{count} pictures have labels that the model does not know: {unknown[:5]}",)
    return dataclasses.replace(pictures, labels=labels, notes=notes)


def _numbers(count: int) -> list[str]:
    return [str(number) for number in range(count)]


def _is_picture(path: str) -> bool:
    if os.path.splitext(path)[1].lower() in layout.PICTURES:
        return True
    try:
        with open(path, "rb") as file:
            return formats.name(file.read(formats.SIGNATURE_BYTES)) is not None
    except OSError:
        return True  # loading it will give the reason
