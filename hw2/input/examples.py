"""Labelled examples: names, labels, and a function that loads each image."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from hw2.errors import DataError
from hw2.input import labels as labelling
from hw2.input.files import spelling
from hw2.input.files.frame import Size
from hw2.input.files.levels import Scale
from hw2.input.files.names import all_differ, first_few


@dataclasses.dataclass(frozen=True, eq=False)
class Examples:
    """The labelled images of one source, in a fixed order.

    Attributes:
      names: Unique names, used in splits and reports: the path below the root for class folders,
        the index ("00012") for arrays.
      labels: `[N]` int32, indices into `class_names`; or `[N, classes]` uint8 of 0 and 1, where
        an image may have several classes, or none.
      class_names: One name per class.
      channels: Number of channels of every image: 3 for files; arrays keep their own.
      load: `load(index, size)` returns image `index` as uint8 `[h, w, channels]`, scaled so that
        its short side is `size` and its aspect is kept, or as a `Frame` says. Raises `DataError`.
      notes: Sentences about what the reader left out or found unusual, for the caller to print.
      digests: `[N]` hashes of the content, of dtype `duplicates.DIGEST`; empty where unknown.
      content: `content(index)` returns image `index` as the bytes of a file. None if images can
        only be loaded.
      validation: `[N]` booleans, true where the source itself assigns an image to validation.
        None where it does not say.
      skipped: Name and reason of every image that was left out because it is bad.
      scale: The value of white, where the images came from an array.
      from_content: Whether `load` decodes `content`, so that equal digests mean equal images.

    Raises:
      ValueError: The fields are inconsistent.
    """

    names: tuple[str, ...] = dataclasses.field(repr=False)
    labels: np.ndarray = dataclasses.field(repr=False)
    class_names: tuple[str, ...]
    channels: int
    load: Callable[[int, Size], np.ndarray] = dataclasses.field(repr=False)
    notes: tuple[str, ...] = ()
    digests: np.ndarray | None = dataclasses.field(default=None, repr=False)
    content: Callable[[int], bytes] | None = dataclasses.field(default=None, repr=False)
    validation: np.ndarray | None = dataclasses.field(default=None, repr=False)
    skipped: tuple[tuple[str, str], ...] = dataclasses.field(default=(), repr=False)
    from_content: bool = dataclasses.field(default=False, repr=False)
    scale: Scale | None = None

    def __post_init__(self) -> None:
        count, classes = len(self.names), len(self.class_names)
        if (self.labels.dtype, self.labels.shape) not in (
            (np.int32, (count,)),
            (np.uint8, (count, classes)),
        ):
            raise ValueError(
                f"labels must be int32 of shape [{count}], one for each name, or uint8 of shape "
                f"[{count}, {classes}], got {self.labels.dtype} of shape "
                f"{list(self.labels.shape)}."
            )
        if not all_differ(self.names):
            raise ValueError("names must differ from each other, got duplicates.")
        limit = 2 if self.several else classes
        if self.labels.size and not 0 <= self.labels.min() <= self.labels.max() < limit:
            raise ValueError(
                f"labels must be in [0, {limit}), "
                f"{'where 1 is a class of the image' if self.several else 'the classes'}, got "
                f"{self.labels.min()} to {self.labels.max()}."
            )

    def __len__(self) -> int:
        return len(self.names)

    @property
    def several(self) -> bool:
        """Whether an image may have several classes, or none."""
        return labelling.are_several(self.labels)

    def with_classes(self, class_names: Sequence[str]) -> Examples:
        """Renumbers the labels as a model does, by the names of the classes.

        Args:
          class_names: The model's classes, in the order of its logits.

        Raises:
          DataError: The examples have a class that the model does not know.
        """
        find = spelling.finder(class_names)
        if words := spelling.unknown(self.class_names, class_names):
            raise DataError(words)
        numbers = np.array([find(name) for name in self.class_names], np.int32)
        counts = labelling.counts(self.labels, len(self.class_names))
        present = set(numbers[np.flatnonzero(counts)].tolist())
        absent = [name for label, name in enumerate(class_names) if label not in present]
        note = (f"no picture of {first_few(absent)}",) if absent else ()
        return dataclasses.replace(
            self,
            labels=labelling.renumbered(self.labels, numbers, len(class_names)),
            class_names=tuple(class_names),
            notes=self.notes + note,
        )


def subset(examples: Examples, kept: np.ndarray) -> Examples:
    """Some of the examples, those of the indices `kept`, with all of the classes."""
    load, content = examples.load, examples.content
    return dataclasses.replace(
        examples,
        names=tuple(examples.names[i] for i in kept.tolist()),
        labels=examples.labels[kept],
        load=lambda index, size: load(int(kept[index]), size),
        digests=None if examples.digests is None else examples.digests[kept],
        content=content and (lambda index: content(int(kept[index]))),
        validation=None if examples.validation is None else examples.validation[kept],
    )


def without_empty_classes(examples: Examples) -> Examples:
    """Leaves out the classes without training images, together with their validation images.

    Raises:
      DataError: Fewer than two classes are left.
    """
    trained = examples.labels
    if examples.validation is not None:
        trained = trained[~examples.validation]
    counts = labelling.counts(trained, len(examples.class_names))
    if counts.all():
        return examples
    classes = np.flatnonzero(counts)
    empty = first_few([examples.class_names[label] for label in np.flatnonzero(counts == 0)])
    if len(classes) < 2:
        raise DataError(
            f"no classes left in the data - without {empty}, which have no picture to train on; "
            "two classes are needed at least"
        )
    numbers = np.full(len(counts), -1, np.int32)
    numbers[classes] = np.arange(len(classes))
    labels = labelling.renumbered(examples.labels, numbers, len(classes))
    kept = np.arange(len(labels)) if examples.several else np.flatnonzero(labels >= 0)
    return dataclasses.replace(
        subset(examples, kept),
        labels=labels[kept],
        class_names=tuple(examples.class_names[label] for label in classes),
        notes=(*examples.notes, f"classes without pictures are left out: {empty}"),
    )


def check_kind(examples: Examples, several: bool, place: str) -> None:
    """Refuses data with one label an image where several are needed, and the other way.

    Raises:
      DataError: They are of the other kind.
    """
    if examples.several != several:
        kinds = ("one label", "several labels")
        raise DataError(
            f"other labels in {place} - {kinds[examples.several]} a picture, and "
            f"{kinds[several]} in the data trained on; list both with the same header: "
            "file,class for one, file,labels or a column for each class for several"
        )


def joined(train: Examples, validation: Examples) -> Examples:
    """Joins training and validation examples into one, with `validation` telling them apart.

    Names are prefixed with "train/" and "val/". Labels are matched by the names of the classes.

    Raises:
      DataError: A class has validation images but no training images, or the two parts differ in
        channels, or in whether an image may have several classes.
    """
    check_kind(validation, train.several, "the validation part")
    validation = validation.with_classes(train.class_names)
    if train.channels != validation.channels:
        raise DataError(
            f"bad validation data - {validation.channels} channels for {train.channels} in the "
            "training data; take both from one data set"
        )
    count = len(train)

    def load(index: int, size: Size) -> np.ndarray:
        if index < count:
            return train.load(index, size)
        return validation.load(index - count, size)

    first, second = train.content, validation.content
    digests = None
    if train.digests is not None and validation.digests is not None:
        digests = np.concatenate([train.digests, validation.digests])
    parts = (("train", train), ("val", validation))
    return Examples(
        tuple(f"{part}/{name}" for part, examples in parts for name in examples.names),
        np.concatenate([train.labels, validation.labels]),
        train.class_names,
        train.channels,
        load,
        notes=tuple(f"{part}: {note}" for part, examples in parts for note in examples.notes),
        digests=digests,
        content=(lambda i: first(i) if i < count else second(i - count))
        if first and second
        else None,
        validation=np.arange(count + len(validation)) >= count,
        skipped=tuple((f"{p}/{name}", why) for p, e in parts for name, why in e.skipped),
        from_content=train.from_content and validation.from_content,
        scale=train.scale,
    )
