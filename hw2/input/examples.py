"""What there is to learn from: names, labels, and a way to each picture."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from hw2.errors import DataError
from hw2.input.files.names import all_differ, first_few


@dataclasses.dataclass(frozen=True, eq=False)
class Examples:
    """Labelled pictures of one source, in a fixed order.

    Attributes:
      names: What a picture is called in splits and reports, each once: the path below the root
        for class folders, the index ("00012") for arrays.
      labels: `[N]` int32, indices into `class_names`.
      class_names: One name per class.
      channels: Channels of every picture: 3 for files, the data's own for arrays.
      load: `load(index, short_side)` is picture `index` as uint8 `[h, w, channels]`, scaled so
        that its short side is `short_side`, the aspect kept. Raises `DataError`.
      notes: What the reader left out or found odd, one sentence each, for the caller to print.
      digests: `[N]` hashes of the content, of dtype `content.DIGEST`; empty where nobody hashed.
      content: `content(index)` is picture `index` as the bytes of a file. None where `load` is
        all there is.
      validation: `[N]` booleans, true where the source itself says that a picture validates.
        None where the source does not say.
      skipped: Name and reason of every picture that was left out because it is bad.
      from_content: Whether `load` decodes `content`, so that pictures of one digest are the same.

    Raises:
      ValueError: The fields contradict each other.
    """

    names: tuple[str, ...] = dataclasses.field(repr=False)
    labels: np.ndarray = dataclasses.field(repr=False)
    class_names: tuple[str, ...]
    channels: int
    load: Callable[[int, int], np.ndarray] = dataclasses.field(repr=False)
    notes: tuple[str, ...] = ()
    digests: np.ndarray | None = dataclasses.field(default=None, repr=False)
    content: Callable[[int], bytes] | None = dataclasses.field(default=None, repr=False)
    validation: np.ndarray | None = dataclasses.field(default=None, repr=False)
    skipped: tuple[tuple[str, str], ...] = dataclasses.field(default=(), repr=False)
    from_content: bool = dataclasses.field(default=False, repr=False)

    def __post_init__(self) -> None:
        if self.labels.dtype != np.int32 or self.labels.shape != (len(self.names),):
            raise ValueError(
                f"labels must be int32 of shape [{len(self.names)}], one for each name, got "
                f"{self.labels.dtype} of shape {list(self.labels.shape)}."
            )
        if not all_differ(self.names):
            raise ValueError("names must differ from each other, got duplicates.")
        classes = len(self.class_names)
        if self.labels.size and not 0 <= self.labels.min() <= self.labels.max() < classes:
            raise ValueError(
                f"labels must be in [0, {classes}), the classes, got "
                f"{self.labels.min()} to {self.labels.max()}."
            )

    def __len__(self) -> int:
        return len(self.names)

    def with_classes(self, class_names: Sequence[str]) -> Examples:
        """Numbers the labels as a model does, by the names of the classes, never by position.

        Args:
          class_names: The model's, in the order of its logits.

        Raises:
          DataError: There is a class that the model does not know.
        """
        number = {name: label for label, name in enumerate(class_names)}
        unknown = [name for name in self.class_names if name not in number]
        if unknown:
            raise DataError(
                f"unknown classes in the data - {first_few(unknown)}: the model knows "
                f"{len(class_names)}, among them {first_few(list(class_names), 3)}; "
                "leave those pictures out, or train a model on them"
            )
        present = {self.class_names[label] for label in np.unique(self.labels)}
        absent = [name for name in class_names if name not in present]
        note = (f"no picture of {first_few(absent)}",) if absent else ()
        numbers = np.array([number[name] for name in self.class_names], np.int32)
        return dataclasses.replace(
            self,
            labels=numbers[self.labels],
            class_names=tuple(class_names),
            notes=self.notes + note,
        )


def joined(train: Examples, validation: Examples) -> Examples:
    """Puts pictures for training and pictures for validation into one, and says which is which.

    Names get "train/" and "val/" before them. Labels go by the names of the classes.

    Raises:
      DataError: A class of the validation pictures has no picture to train on, or the two
        differ in channels.
    """
    validation = validation.with_classes(train.class_names)
    if train.channels != validation.channels:
        raise DataError(
            f"bad validation data - {validation.channels} channels for {train.channels} in the "
            "training data; take both from one data set"
        )
    count = len(train)

    def load(index: int, short_side: int) -> np.ndarray:
        if index < count:
            return train.load(index, short_side)
        return validation.load(index - count, short_side)

    def content(index: int) -> bytes:
        return train.content(index) if index < count else validation.content(index - count)

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
        content=content if train.content and validation.content else None,
        validation=np.arange(count + len(validation)) >= count,
        skipped=tuple((f"{p}/{name}", why) for p, e in parts for name, why in e.skipped),
        from_content=train.from_content and validation.from_content,
    )
