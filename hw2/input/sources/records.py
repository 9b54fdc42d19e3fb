"""TFRecord shards of images: few large files in place of many small ones, read at random.

A record is a `tf.train.Example` with the features that TensorFlow's own image tools write:
`image/encoded`, the bytes of an image file; `image/class/text`, or `image/class/label` where
there is no text; `image/filename`. An index beside the shards gives the position of each record.

Where images have several classes, both features have one value for each class of the image, or
none, and `image/class/several` is 1.
"""

from __future__ import annotations

import os
import re
import struct
import threading
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from hw2.errors import DataError
from hw2.input import labels as labelling
from hw2.input.examples import Examples
from hw2.input.files import spelling
from hw2.input.files.names import shown
from hw2.input.files.rules import Rules
from hw2.input.scanning import scan
from hw2.input.scanning.listing import Listing
from hw2.input.sources import layout

SHARD = re.compile(r".*\.tfrecords?|.*-\d{5}-of-\d{5}(\.tfrecords?)?")
INDEX = "index.npz"
ENCODED, TEXT, LABEL, NAME, SEVERAL = (
    "image/encoded",
    "image/class/text",
    "image/class/label",
    "image/filename",
    "image/class/several",
)
HEAD, TAIL = 12, 4  # bytes around a record: its length and checksum, and its own checksum
OPEN = 64  # shards kept open: a process may often open 1024 files, and ImageNet has 1024 shards
PLACE = np.dtype([("shard", np.int32), ("start", np.int64), ("length", np.int64)])


def shards(path: str | os.PathLike[str], part: str) -> list[str]:
    """Finds the shards of a part: those with its name, or all if no name contains a part.

    Args:
      path: A shard, or a folder of shards.
      part: "train", "validation" or "test".
    """
    path = os.fspath(path)
    if os.path.isfile(path):
        return [path] if SHARD.fullmatch(os.path.basename(path)) else []
    names = sorted(name for name in os.listdir(path) if SHARD.fullmatch(name))
    named = {name: _part(name) for name in names}
    if any(named.values()):
        names = [name for name in names if named[name] == part]
    return [os.path.join(path, name) for name in names]


def has_part(path: str | os.PathLike[str], part: str) -> bool:
    """Whether there are shards with the name of this part."""
    return any(_part(os.path.basename(shard)) == part for shard in shards(path, part))


def read_shards(
    paths: Sequence[str],
    rules: Rules | None = None,
    *,
    class_names: Sequence[str] | None = None,
    report: scan.Report | None = None,
) -> Examples:
    """Indexes shards, and scans the images in them.

    Args:
      paths: Paths of the shards.
      rules: What is accepted.
      class_names: The classes, if known; by default those in the records and in the index.
      report: As for `scan.survey`.

    Raises:
      DataError: A shard is damaged, a record has no image or no label, or as `scan.examples`.
    """
    rules = scan.lenient(rules or Rules(), class_names)
    index = _Index.load(paths) or _Index.walk(paths)
    return scan.examples(index.listing(class_names), rules, report=report)


def to_classify(paths: Sequence[str], class_names: Sequence[str]) -> Listing:
    """Indexes shards of images to classify; a record may have no label, or an unknown one.

    Raises:
      DataError: A shard is damaged, or a record has no image.
    """
    index = _Index.load(paths) or _Index.walk(paths, labelled=False)
    return index.listing(class_names, labelled=False)


def example(
    content: bytes,
    class_names: Sequence[str],
    labels: Sequence[int],
    name: str,
    *,
    several: bool = False,
) -> bytes:
    """Serializes a record: the bytes of an image file, its class or classes, and its name."""
    features = {
        ENCODED: [content],
        TEXT: [text.encode("utf-8", "surrogateescape") for text in class_names],
        NAME: [name.encode("utf-8", "surrogateescape")],
    }
    fields = {
        k: tf.train.Feature(bytes_list=tf.train.BytesList(value=v)) for k, v in features.items()
    }
    fields[LABEL] = tf.train.Feature(int64_list=tf.train.Int64List(value=labels))
    if several:
        fields[SEVERAL] = tf.train.Feature(int64_list=tf.train.Int64List(value=[1]))
    return tf.train.Example(features=tf.train.Features(feature=fields)).SerializeToString()


class _Index:
    """The positions, names and classes of the records in some shards."""

    def __init__(
        self,
        paths: Sequence[str],
        places: np.ndarray,
        names: Sequence[str],
        classes: Sequence[str],
        known: Sequence[str] = (),
        *,
        several: bool = False,
    ):
        """Keeps one entry for each record.

        Args:
          paths: Paths of the shards.
          places: `[N]` of dtype `PLACE`.
          names: `[N]` names of the images.
          classes: `[N]` names of their classes, several of an image as one text.
          known: Names of all classes, if the writer knew them.
          several: Whether an image may have several classes.
        """
        self.several = several
        self.paths, self.places, self.names = list(paths), places, list(names)
        self.classes, self.known = list(classes), tuple(known)
        self._files: dict[int, int] = {}
        self._lock = threading.Lock()

    @classmethod
    def load(cls, paths: Sequence[str]) -> _Index | None:
        """Reads the index that `save` wrote, or returns None if it is missing or does not fit."""
        try:
            path = os.path.join(os.path.dirname(paths[0]), INDEX)
            with open(path, "rb") as opened, np.load(opened) as file:
                shards = _lines(file["shards"])
                sizes = dict(zip(shards, file["sizes"].tolist(), strict=True))
                wanted = [os.path.basename(path) for path in paths]
                if any(
                    sizes.get(n) != os.path.getsize(p) for n, p in zip(wanted, paths, strict=True)
                ):
                    return None
                places = file["places"]
                number = np.array([wanted.index(n) if n in wanted else -1 for n in shards])
                places["shard"] = number[places["shard"]]
                keep = np.flatnonzero(places["shard"] >= 0)
                names, known = _lines(file["names"]), _lines(file["class_names"])
                labels = file["labels"][keep]
                return cls(
                    paths,
                    places[keep],
                    [names[i] for i in keep],
                    labelling.texts(labels, known),
                    known,
                    several=labelling.are_several(labels),
                )
        except Exception:  # damage makes zipfile and NumPy raise nearly anything
            return None

    @classmethod
    def walk(cls, paths: Sequence[str], *, labelled: bool = True) -> _Index:
        """Makes the index by reading every shard from start to end, and checks its checksums."""
        places, names, classes, several = [], [], [], False
        for number, path in enumerate(paths):
            start, count = 0, 0
            try:
                for row, record in enumerate(tf.data.TFRecordDataset(path).as_numpy_iterator()):
                    name, label, many = _described(path, row, record, labelled)
                    several |= many
                    places.append((number, start + HEAD, len(record)))
                    names.append(name)
                    classes.append(label)
                    start += HEAD + len(record) + TAIL
                    count += 1
            except tf.errors.OpError as error:
                raise DataError(
                    f"bad shard in {shown(path)} - truncated or damaged after {count} records "
                    f"({start:,} of {os.path.getsize(path):,} bytes are good); write it again"
                ) from error
        if len(set(names)) < len(names):
            names = [f"{i:07d}:{name}" for i, name in enumerate(names)]
        return cls(paths, np.array(places, PLACE), names, classes, several=several)

    def save(self, path: str) -> None:
        """Writes the index as a file."""
        known = self.known or sorted({name for text in self.classes for name in self._split(text)})
        with open(path, "wb") as file:
            np.savez(
                file,
                shards=_blob([os.path.basename(path) for path in self.paths]),
                sizes=np.array([os.path.getsize(path) for path in self.paths]),
                places=self.places,
                names=_blob(self.names),
                labels=self._labels(known),
                class_names=_blob(known),
            )

    def listing(self, class_names: Sequence[str] | None, *, labelled: bool = True) -> Listing:
        """Lists the records for a scan, or for prediction unless `labelled`."""
        source = os.path.dirname(self.paths[0]) if len(self.paths) > 1 else self.paths[0]
        first: dict[str, str] = {}  # of the spellings of a name in Unicode
        own = {name for text in self.classes for name in self._split(text)}
        for name in sorted(own, key=_natural):
            first.setdefault(spelling.form(name), name)
        known = tuple(class_names or self.known or first.values())
        find = spelling.finder(known)
        unknown = sorted(name for name in own if find(name) < 0)
        if unknown and labelled:
            raise DataError(
                f"unknown classes in {shown(source)} - {shown(unknown[0])} is not one of the "
                f"{len(known)} classes; leave those pictures out, or train a model on them"
            )
        if len(known) < 2 and class_names is None:
            raise DataError(
                f"no classes in {shown(source)} - one class only, "
                f"{shown(known[0]) if known else 'none'}; two are needed at least"
            )
        times = np.array([os.stat(path).st_mtime_ns for path in self.paths])
        stamps = np.stack([self.places["length"], times[self.places["shard"]]], axis=1)
        return Listing(
            os.path.dirname(self.paths[0]),
            self.names,
            self._labels(known),
            known,
            source=source,
            records=stamps,
            read=self.encoded,
            notes=() if class_names else spelling.notes(known),
        )

    def _split(self, text: str) -> list[str]:
        """The classes of an image, from their text."""
        if self.several:
            return text.split(labelling.SEPARATOR) if text else []
        return [text]

    def _labels(self, known: Sequence[str]) -> np.ndarray:
        """The labels of the images; -1, or none, for a class that is not known."""
        find = spelling.finder(known)
        if not self.several:
            number = {name: find(name) for name in set(self.classes)}
            return np.array([number[name] for name in self.classes], np.int32)
        labels = np.zeros([len(self.classes), len(known)], np.uint8)
        for row, text in enumerate(self.classes):
            labels[row, [n for n in map(find, self._split(text)) if n >= 0]] = 1
        return labels

    def encoded(self, index: int) -> bytes:
        """Returns the bytes of image `index`; safe to call from several threads."""
        shard, start, length = self.places[index].tolist()
        path = self.paths[shard]
        try:
            head = self._bytes(shard, HEAD + length, start - HEAD)
            if len(head) != HEAD + length or struct.unpack("<Q", head[:8]) != (length,):
                raise ValueError("the length of the record is another")
            fields = tf.train.Example.FromString(head[HEAD:]).features.feature
            [content] = fields[ENCODED].bytes_list.value
        except OSError as error:
            why = (error.strerror or str(error)).lower()
            raise DataError(
                f"bad picture in {shown(path)} ({shown(self.names[index])}) - {why}; restore the "
                "shard, or make it readable"
            ) from error
        except Exception as error:  # protobuf's own
            raise DataError(
                f"bad picture in {shown(path)} ({shown(self.names[index])}) - not the record that "
                "was there; rerun the command, which scans again"
            ) from error
        return content

    def _bytes(self, shard: int, length: int, start: int) -> bytes:
        """Reads a piece of a shard; the first `OPEN` shards that are read stay open."""
        with self._lock:
            if shard not in self._files and len(self._files) < OPEN:
                self._files[shard] = os.open(self.paths[shard], os.O_RDONLY)
        if shard in self._files:
            return os.pread(self._files[shard], length, start)
        with open(self.paths[shard], "rb", buffering=0) as file:
            return os.pread(file.fileno(), length, start)

    def __del__(self) -> None:
        for file in self._files.values():
            os.close(file)


def _described(path: str, row: int, record: bytes, labelled: bool) -> tuple[str, str, bool]:
    """Returns name and class of a record, and whether it may have several classes.

    The class is "" if there is none and need not be.
    """
    try:
        fields = tf.train.Example.FromString(record).features.feature
    except Exception as error:  # protobuf's own
        raise _bad(path, row, "not a tf.train.Example") from error
    if len(fields[ENCODED].bytes_list.value) != 1:
        raise _bad(path, row, f"no {ENCODED}")
    texts, numbers = fields[TEXT].bytes_list.value, fields[LABEL].int64_list.value
    several = bool(sum(fields[SEVERAL].int64_list.value))
    if labelled and not texts and not numbers and not several:
        raise _bad(path, row, f"neither {TEXT} nor {LABEL}")
    words = [text.decode("utf-8", "surrogateescape") for text in texts] or list(map(str, numbers))
    label = labelling.SEPARATOR.join(words) if several else "".join(words[:1])
    names = fields[NAME].bytes_list.value
    name = names[0].decode("utf-8", "surrogateescape") if names else ""
    return name or f"{os.path.basename(path)}:{row}", label, several


def _bad(path: str, row: int, why: str) -> DataError:
    return DataError(
        f"bad record in {shown(path)} - record {row} "
        f"{'has' if why.startswith(('no ', 'neither')) else 'is'} {why}; "
        "write it with hw2.commands.shard"
    )


def _part(name: str) -> str | None:
    words = re.split(r"[-._]", name.lower())
    return next((part for part, names in layout.PARTS.items() if set(names) & set(words)), None)


def _natural(name: str) -> tuple[int, str]:
    return (int(name), "") if name.isascii() and name.isdigit() else (-1, name)


def _blob(names: Sequence[str]) -> np.ndarray:
    return np.frombuffer("\0".join(names).encode("utf-8", "surrogateescape"), np.uint8)


def _lines(blob: np.ndarray) -> list[str]:
    return blob.tobytes().decode("utf-8", "surrogateescape").split("\0")
