"""Pictures a second from files to batches: our pipeline beside Keras's and PyTorch's.

    python benchmarks/input_pipeline.py --data=FOLDER
    python benchmarks/input_pipeline.py --paths=1200000

All read the same class folders and make the same batches of [batch, 100, 100, 3] with flips, random
crops, brightness, contrast and standardization. Keras's scales without a filter; ours and the
others antialias, tf.data by TensorFlow's ops on the same decoded pixels. PyTorch has a process of
its own, and by `--torch_python=PATH` an interpreter of its own, with Pillow. Pictures are drawn
and saved as JPEG in a temporary folder; `--data` measures a folder of your own instead. The rows
`kept in memory` and `kept on disk` are ours from the second epoch on, `mixed` with mixup or cutmix.
A call begins anew and fetches `--batches` batches, so that nothing is fetched ahead in the time of
another. Every file is read once before any time is taken: hw2 begins each call with the same
pictures, and its files would be in the system's memory where those of the others are not. A folder
that does not fit into the memory is still read from the disk by the others.

`--paths=N` times instead what a start costs with so many small pictures, each step of it, and the
memory: the first start, which opens every file, and the second, each a process of its own. Files
take 4 kB each in the temporary folder, and are removed.
"""

from __future__ import annotations

import argparse
import itertools
import json
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import interleaved
import machine
import numpy as np
import turns
from PIL import Image

from hw2.terminal import noise

SHORT_SIDE, CROP, SIDE = 260, 200, 100
ENDINGS = (".jpg", ".jpeg", ".png")
KERAS = "keras.utils.image_dataset_from_directory"
TORCH = "torch DataLoader and Pillow"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="class folders; none for drawn photographs")
    parser.add_argument("--pictures", type=int, default=256, help="to draw")
    parser.add_argument("--size", type=int, nargs=2, default=[800, 600], help="of those, in pixels")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--batches", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--torch_python", default=sys.executable, metavar="PATH")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--paths", type=int, help="small pictures of which a start is timed")
    parser.add_argument("--start", help=argparse.SUPPRESS)  # of the processes that --paths begins
    options = parser.parse_args()
    noise.quiet_tensorflow()
    if options.start:
        print(json.dumps(_start(Path(options.start), options.batch)))
        return
    if options.paths:
        _show_starts(options.paths, options.batch, as_json=options.json)
        return
    with tempfile.TemporaryDirectory() as scratch, tempfile.TemporaryDirectory() as cache:
        folder = Path(options.data or scratch)
        if not options.data:
            _draw(folder, options.pictures, tuple(options.size))
        peers = {
            "hw2": _ours(folder, options.batch, cache_mb=0),
            "hw2, kept in memory": _ours(folder, options.batch, cache_mb=4096),
            "hw2, kept in memory, mixed": _ours(folder, options.batch, cache_mb=4096, mixed=True),
            "hw2, kept on disk": _ours(folder, options.batch, cache_mb=0, disk=cache),
            KERAS: _keras(folder, options.batch),
            "tf.data, antialias=True": _tensorflow(folder, options.batch),
        }
        calls: dict[str, Callable[[], object]] = {
            name: lambda batches=batches: list(itertools.islice(batches, options.batches))
            for name, batches in peers.items()
        }
        paths, _ = _labelled(folder)
        for path in paths:
            path.read_bytes()  # into the system's memory
        epoch = -(-len(paths) // options.batch)
        for name, batches in peers.items():
            if "kept" in name:
                list(itertools.islice(batches, epoch))  # fills the memory, or the disk
        torch = [options.torch_python, str(Path(__file__).with_name("torch_pipeline.py"))]
        torch += [str(folder), str(options.batch), str(options.batches)]
        with turns.peers({TORCH: torch}) as running:
            calls |= {peer.name: peer.call for peer in running}
            facts = machine.cpu() | machine.libraries("tensorflow", "keras", "pillow")
            for peer in running:
                facts |= peer.facts
            interleaved.head(facts, as_json=options.json)
            times = interleaved.seconds(calls, rounds=options.rounds)
    middle = interleaved.medians(times)
    count = options.batch * options.batches
    rows = [
        {
            "pipeline": name,
            "images/s": round(count / seconds, 1),
            "spread": f"{interleaved.spread(times[name]):.0%}",
            "ratio to Keras": round(middle[KERAS] / seconds, 2),
        }
        for name, seconds in middle.items()
    ]
    what = options.data or f"{options.pictures} JPEG of {options.size[0]}x{options.size[1]}"
    interleaved.show(f"input_pipeline, {what}, batch {options.batch}", rows, as_json=options.json)


def _draw(folder: Path, count: int, size: tuple[int, int]) -> None:
    """Saves smooth random pictures, which JPEG packs about as it packs photographs."""
    rng = np.random.default_rng(0)
    for index in range(count):
        path = folder / f"class{index % 4}" / f"{index}.jpg"
        path.parent.mkdir(exist_ok=True)
        coarse = rng.integers(0, 256, (size[1] // 8, size[0] // 8, 3), np.uint8)
        Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC).save(path, quality=90)


def _ours(
    folder: Path, batch: int, *, cache_mb: int, disk: str = "", mixed: bool = False
) -> Iterable:
    from hw2.input import pipeline, source
    from hw2.input.stream import disk_cache
    from hw2.input.transforms.preprocess import Preprocessing

    examples = source.read(str(folder), "train")
    if disk:
        examples = disk_cache.kept(examples, disk)
    preprocessing = Preprocessing(
        image_size=SIDE,
        channels=3,
        short_side=SHORT_SIDE,
        crop_size=CROP,
        flip=True,
        brightness=63.0,
        contrast_min=0.2,
        contrast_max=1.8,
    )
    return pipeline.training_batches(
        examples,
        np.arange(len(examples)),
        preprocessing,
        batch_size=batch,
        seed=0,
        cache_mb=cache_mb,
        mixup=0.2 if mixed else 0.0,
        cutmix=1.0 if mixed else 0.0,
    )


def _show_starts(count: int, batch: int, *, as_json: bool) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        _draw_small(Path(scratch) / "data", count)
        call = [sys.executable, __file__, f"--start={scratch}", f"--batch={batch}"]
        starts = [
            json.loads(subprocess.run(call, check=True, stdout=subprocess.PIPE).stdout)
            for _ in range(2)
        ]
    rows = [
        {"start": name, **start} for name, start in zip(("first", "second"), starts, strict=True)
    ]
    interleaved.head(machine.cpu() | machine.libraries("tensorflow"), as_json=as_json)
    interleaved.show(f"input_pipeline, a start with {count:,} paths", rows, as_json=as_json)


def _draw_small(root: Path, count: int, classes: int = 1000) -> None:
    """Saves BMP files of 8x8 pixels, each another."""
    for label in range(classes):
        (root / f"n{label:08d}").mkdir(parents=True)
    head = struct.pack(
        "<2sIHHIIiiHHIIiiII", b"BM", 246, 0, 0, 54, 40, 8, 8, 1, 24, 0, 192, *[0] * 4
    )
    for index in range(count):
        label = index % classes
        path = root / f"n{label:08d}" / f"n{label:08d}_{index:08d}.bmp"  # as ImageNet's are named
        path.write_bytes(head + struct.pack("<I", index) * 48)


def _start(folder: Path, batch: int) -> dict[str, float]:
    """Seconds of each step of a start, and the process's largest memory."""
    from hw2.input import pipeline, source, split
    from hw2.input.files.rules import Rules
    from hw2.input.stream import order
    from hw2.input.transforms.preprocess import Preprocessing

    before = machine.peak_mb()
    times, last = {}, time.perf_counter()

    def timed(name: str) -> None:
        nonlocal last
        times[f"{name}, s"] = round(time.perf_counter() - last, 1)
        last = time.perf_counter()

    examples = source.read(str(folder / "data"), "train", Rules(cache_folder=str(folder / "cache")))
    timed("scan")
    if not (folder / "split.csv").exists():
        split.write(folder / "split.csv", examples, *split.draw(examples, 0.2, 0))
    train, _ = split.read(folder / "split.csv", examples)
    timed("split")
    order.at(np.arange(batch), len(train), 0)
    timed("order")
    p = Preprocessing(8, 3, 8, 8, True, 0.0, 1.0, 1.0)
    batches = pipeline.training_batches(examples, train, p, batch_size=batch, seed=0)
    next(iter(batches))
    timed("first batch")
    return {**times, "memory, MB": machine.peak_mb(), "of it TensorFlow, MB": before}


def _keras(folder: Path, batch: int) -> Iterable:
    import keras
    import tensorflow as tf
    from keras import layers

    data = keras.utils.image_dataset_from_directory(
        folder, image_size=(SHORT_SIDE, SHORT_SIDE), batch_size=None, seed=0, verbose=False
    )
    change = keras.Sequential(
        [
            layers.RandomCrop(CROP, CROP),
            layers.Resizing(SIDE, SIDE),
            layers.RandomFlip("horizontal"),
            layers.RandomBrightness(63 / 255),
            layers.RandomContrast((0.8, 0.8)),
        ]
    )

    def prepare(images, labels):
        images = change(images, training=True)
        return tf.image.per_image_standardization(images), labels

    data = data.repeat().batch(batch, drop_remainder=True)
    return data.map(prepare, num_parallel_calls=tf.data.AUTOTUNE).prefetch(2)


def _tensorflow(folder: Path, batch: int) -> Iterable:
    """TensorFlow's own ops, which scale as finely as we do, with the pixels that we decode."""
    import tensorflow as tf

    paths, labels = _labelled(folder)

    def prepare(path, label):
        image = tf.io.decode_jpeg(tf.io.read_file(path), 3, dct_method="INTEGER_ACCURATE")
        height, width = tf.shape(image)[0], tf.shape(image)[1]
        scale = SHORT_SIDE / tf.minimum(height, width)  # float64
        size = tf.cast(tf.round(scale * tf.cast([height, width], tf.float64)), tf.int32)
        image = tf.image.resize(image, size, antialias=True)
        side = tf.random.uniform([], CROP, SHORT_SIDE + 1, tf.int32)
        image = tf.image.random_crop(image, [side, side, 3])
        image = tf.image.resize(tf.image.resize(image, [CROP] * 2, "area"), [SIDE] * 2, "area")
        image = tf.image.random_flip_left_right(image)
        image = tf.image.random_brightness(image, 63.0)
        image = tf.image.random_contrast(image, 0.2, 1.8)
        return tf.image.per_image_standardization(image), label

    data = tf.data.Dataset.from_tensor_slices(([str(path) for path in paths], labels))
    data = data.shuffle(len(paths), seed=0).repeat()
    data = data.map(prepare, num_parallel_calls=tf.data.AUTOTUNE)
    return data.batch(batch, drop_remainder=True).prefetch(2)


def _labelled(folder: Path) -> tuple[list[Path], list[int]]:
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in ENDINGS)
    classes = [path.relative_to(folder).parts[0] for path in paths]
    names = sorted(set(classes))
    return paths, [names.index(name) for name in classes]


if __name__ == "__main__":
    main()
