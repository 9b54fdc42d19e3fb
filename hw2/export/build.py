"""From a run folder to a file that is known to classify as prediction does."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from rich.console import Console

from hw2.config.settings import Config
from hw2.errors import DataError, RunError, UsageError, writing
from hw2.export import litert, onnx, saved_model
from hw2.export.classifier import Classifier
from hw2.input import pipeline, split
from hw2.input.examples import Examples
from hw2.input.files import decode
from hw2.input.files.names import shown
from hw2.input.sources import arrays
from hw2.jobs import data, predict, spec
from hw2.jobs import model as trained
from hw2.machines import devices
from hw2.runs import folder as run_folder
from hw2.runs.checkpoints import Checkpoint
from hw2.runs.folder import RunFolder
from hw2.terminal import console, noise

CHECKED = 100  # pictures that must agree
TOLERANCE = 1e-4  # of a probability
SAMPLES = 200  # training pictures that show int8 its ranges
SCORED = 1000  # pictures on which int8 is compared with float32, at most
NAMES = {"saved_model": "saved_model", "litert": "model.tflite", "onnx": "model.onnx"}


class Picture(NamedTuple):
    """A held-out picture as anyone has it, and what prediction says of it."""

    name: str
    given: bytes | np.ndarray
    label: int
    expected: np.ndarray  # [classes]


@devices.check_device_errors()
def export(run: str, config: Config) -> None:
    """Writes the file, once it agrees with prediction, and prints one JSON line.

    Args:
      run: The run folder.
      config: The settings, as for evaluation, and `format`, `int8`, `output` and `overwrite`. With
        `int8` agreement is measured and told, not demanded.

    Raises:
      Fault: With what is wrong and what to do; nothing is written then.
    """
    started = time.perf_counter()
    out = console.stderr()
    form, int8 = config.format, config.int8
    if int8 and form != "litert":
        raise UsageError(f"--int8 must go with --format=litert, got {form}")
    if form == "onnx":
        onnx.check()
    folder = run_folder.find(Path(run), "RUN")
    name = NAMES[form].replace("model", "model-int8") if int8 else NAMES[form]
    path = Path(config.output) if config.output else folder.path / name
    if os.path.lexists(path) and not config.overwrite:
        raise UsageError(f"cannot write {path} - it is there already; --overwrite, or --output")
    if path.is_dir() and not (form == "saved_model" and (path / "saved_model.pb").is_file()):
        raise UsageError(
            f"cannot write {path} - a folder that is no such export; give another --output"
        )
    checkpoint, tensors = trained.choose(folder, config.checkpoint)
    same = checkpoint.state["identity"]
    model = spec.build_model(same, load_pretrained=False)
    trained.restore_weights(model, checkpoint, tensors, config.weights)
    classifier = Classifier(
        model,
        [os.fsencode(name) for name in same["class_names"]],
        spec.preprocessing(same),
        trained.probabilities(checkpoint),
        max_pixels=config.max_pixels,
    )
    guess = predict.guesser(checkpoint, tensors, len(same["class_names"]), config.weights)
    examples, held_out = data.held_out(config, folder, checkpoint, out)
    others, training = _training(config, folder, checkpoint, out) if int8 else (examples, [])
    with noise.without_noise():
        contents, refused = _inputs(
            examples, held_out, SCORED if int8 else CHECKED, classifier, files=form == "saved_model"
        )
        pictures = _expected(examples, contents, checkpoint, guess, config.batch_size)
        samples = _inputs(others, training, SAMPLES, classifier)[0].values() if int8 else ()
    for words, count in refused.items():
        out.print(f"  note: {count} of the pictures held out are left aside: {words}")
    about = {"class_names": json.dumps(same["class_names"])}
    partial = path.with_name(f".{path.name}.partial")
    with writing(path, "make room, or give another --output"):
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove(partial)
        try:
            with noise.without_noise():
                if form == "saved_model":
                    saved_model.write(classifier, partial)
                    read = saved_model.read(partial, classifier)
                elif form == "onnx":
                    onnx.write(classifier, partial, about)
                    read = onnx.read(partial)
                else:
                    litert.write(classifier, partial, about, list(samples))
                    read = litert.read(partial)
                found = [read(picture.given) for picture in pictures]
            result = {"checked": len(pictures)} | _agreement(pictures, found)
            if int8:
                result |= _cost(pictures, found)
            else:
                _check(pictures, found, path)
            if partial.is_dir():
                _remove(path)  # only a file takes the place of another at once
            os.replace(partial, path)
        finally:
            _remove(partial)
    size = sum(f.stat().st_size for f in ([path] if path.is_file() else path.rglob("*")))
    result = {
        "output": str(path),
        "format": form,
        "step": checkpoint.step,
        "weights": config.weights,
        "bytes": size,
        **result,
        "seconds": round(time.perf_counter() - started, 1),
    }
    _tell(result, int8, out)
    print(json.dumps(result), flush=True)


def _training(
    config: Config, folder: RunFolder, checkpoint: Checkpoint, out: Console
) -> tuple[Examples, np.ndarray]:
    """The data of the training, with their part that was trained on."""
    path = config.train_data_path or checkpoint.state["train_data_path"]
    class_names = checkpoint.state["identity"]["class_names"]
    examples = data.read_examples(config, path, "train", out, class_names)
    return examples, split.read(folder.split, examples)[0]


def _inputs(
    examples: Examples,
    indices: np.ndarray,
    count: int,
    classifier: Classifier,
    *,
    files: bool = False,
) -> tuple[dict[int, bytes | np.ndarray], dict[str, int]]:
    """So many pictures at random, as the export takes them.

    Args:
      examples: Where they come from.
      indices: To choose from.
      count: How many, at most.
      classifier: The export.
      files: Whether it takes the bytes of files, else all their pixels.

    Returns:
      Bytes or pixels by the index; of files that are left aside the reasons, and how many.

    Raises:
      DataError: There is none, or a file is bad.
    """
    chosen, refused = {}, {}
    content = tf.TensorSpec([], tf.string)
    decode_in_graph = tf.function(classifier.decoded, input_signature=[content], autograph=False)
    for index in map(int, np.random.default_rng(0).permutation(indices)):
        if len(chosen) == count:
            break
        content = _content(examples, index, classifier)
        if not files:
            name, limit = examples.names[index], {"max_pixels": classifier.max_pixels}
            size = decode.inspect_in(content, name, decode=False, **limit)
            short_side = min(size.width, size.height)
            chosen[index] = decode.picture_in(content, name, short_side, **limit)
            continue
        try:
            decode_in_graph(content)
        except tf.errors.InvalidArgumentError as error:
            words = re.search(r"assertion failed: \[([^\];]*)", error.message)
            words = words[1] if words else "not decoded by TensorFlow"
            refused[words] = refused.get(words, 0) + 1
        else:
            chosen[index] = content
    if not chosen:
        raise DataError(
            f"no picture to compare on - of {len(indices)} held out TensorFlow decodes none; "
            "give JPEG or PNG files as --test_data_path"
        )
    return chosen, refused


def _content(examples: Examples, index: int, classifier: Classifier) -> bytes:
    """A picture as a file, though it may have come as an array."""
    if examples.content:
        return examples.content(index)
    return arrays.png(examples.load(index, classifier.preprocessing.short_side))


def _expected(
    examples: Examples,
    inputs: Mapping[int, bytes | np.ndarray],
    checkpoint: Checkpoint,
    guess: Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor, tf.Tensor]],
    batch_size: int,
) -> list[Picture]:
    """What prediction says of these pictures; of pixels, what it says of them as a PNG file."""

    def load(index: int, short_side: int) -> np.ndarray:
        picture = inputs[index]
        if isinstance(picture, bytes):
            return examples.load(index, short_side)
        return decode.resize(picture, short_side)

    channels = next((3 for one in inputs.values() if not isinstance(one, bytes)), None)
    given = dataclasses.replace(examples, load=load, channels=channels or examples.channels)
    indices = list(inputs)
    preprocessing = spec.preprocessing(checkpoint.state["identity"])
    batches = pipeline.evaluation_batches(
        given, indices, preprocessing, batch_size=batch_size, cache_mb=0
    )
    rows = []
    with pipeline.naming_errors():
        for images, _, _ in batches:
            classes, probabilities, _ = (value.numpy() for value in guess(images))
            order = np.argsort(classes, 1)
            rows += list(np.take_along_axis(probabilities, order, 1))
    return [
        Picture(examples.names[index], picture, int(examples.labels[index]), row)
        for (index, picture), row in zip(inputs.items(), rows, strict=False)  # then filling
    ]


def _agreement(pictures: Sequence[Picture], found: Sequence[np.ndarray]) -> dict[str, Any]:
    """How far the file and prediction are apart."""
    same = [p.expected.argmax() == row.argmax() for p, row in zip(pictures, found, strict=True)]
    apart = [np.abs(p.expected - row).max() for p, row in zip(pictures, found, strict=True)]
    return {"same_top1": float(np.mean(same)), "largest_difference": float(np.max(apart))}


def _check(pictures: Sequence[Picture], found: Sequence[np.ndarray], path: Path) -> None:
    """Demands that the file agrees with prediction on every picture.

    Raises:
      RunError: With the worst picture.
    """
    for picture, row in zip(pictures, found, strict=True):
        apart = np.abs(picture.expected - row).max()
        if not apart <= TOLERANCE or picture.expected.argmax() != row.argmax():
            raise RunError(
                f"not written: {path} - on {shown(picture.name)} a probability is {apart:.1e} away "
                f"from predict.py's, at most {TOLERANCE:.0e} is right, or another class comes "
                "first; report this with the run's flags.cfg"
            )


def _cost(pictures: Sequence[Picture], found: Sequence[np.ndarray]) -> dict[str, float]:
    """Accuracies of prediction and of the file."""
    labels = np.array([picture.label for picture in pictures])
    return {
        "float32_top1": float((np.array([p.expected.argmax() for p in pictures]) == labels).mean()),
        "int8_top1": float((np.array([row.argmax() for row in found]) == labels).mean()),
    }


def _tell(result: Mapping[str, Any], int8: bool, out: Console) -> None:
    out.print(f"{result['output']}: {result['bytes'] / 1e6:.1f} MB, step {result['step']}")
    count, apart = result["checked"], result["largest_difference"]
    if int8:
        before, after = result["float32_top1"], result["int8_top1"]
        out.print(
            f"on {count:,} pictures held out: top-1 {after:.4f} with 8 bits, {before:.4f} with 32 "
            f"({100 * (after - before):+.2f} points); the answer is the same for "
            f"{result['same_top1']:.1%}"
        )
    else:
        out.print(
            f"on {count:,} pictures held out: the answers are those of predict.py, the largest "
            f"difference of a probability is {apart:.1e}"
        )


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
