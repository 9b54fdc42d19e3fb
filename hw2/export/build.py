"""From a run folder to a file that classifies pictures without hw2: the wiring of the export."""

from __future__ import annotations

import io
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image

from hw2 import answer, console, dataset, evaluation, identity, ops, prediction, run_folder
from hw2.config import Config
from hw2.errors import RunError, UsageError, writing
from hw2.export import lite, saved_model
from hw2.input import decode, preprocess, split
from hw2.input.examples import Examples
from hw2.input.pictures import Pictures
from hw2.training import devices

CHECKED = 100  # held-out pictures
TOLERANCE = 1e-4  # of a probability
REPRESENTATIVE = 200  # training pictures by which int8 finds its ranges
SCORED = 1000  # held-out pictures by which the cost of int8 is told
NAMES = {"saved_model": "saved_model", "litert": "model.tflite"}


@devices.told_of_machines()
def build(folder: str, config: Config) -> None:
    """Writes the export, once it agrees with prediction, and prints one JSON line.

    Args:
      folder: Of the run.
      config: `format`, `int8`, `output`, `overwrite`; checkpoint and weights as for evaluation.

    Raises:
      Fault: There is no run, its data is not there, or the export does not agree; then no file.
    """
    out = console.stderr()
    if config.int8 and config.format != "litert":
        raise UsageError(f"--int8 must go with --format=litert, got {config.format}")
    run = run_folder.find(Path(folder), "RUN")
    name = "model-int8.tflite" if config.int8 else NAMES[config.format]
    path = Path(config.output or run.path / name)
    if not path.is_dir() or not config.overwrite or config.format != "saved_model":
        answer.check(str(path), overwrite=config.overwrite)
    checkpoint, tensors = run_folder.choose(run, config.checkpoint)
    same = checkpoint.state["identity"]
    p, class_names = identity.preprocessing(same), same["class_names"]
    model = identity.model(same, load_pretrained=False)
    evaluation.restore_weights(model, checkpoint, tensors, config.weights)
    data = config.train_data_path or checkpoint.state["train_data_path"]
    examples = dataset.read(config, data, "train", out, class_names)
    training, held_out = split.read(run.split, examples)
    held_out = np.random.default_rng(0).permutation(held_out)
    shares = evaluation.probabilities(checkpoint)

    def probabilities(images: tf.Tensor) -> tf.Tensor:
        return shares(model(images, training=False))

    def reference(pictures: Pictures) -> np.ndarray:
        guess = prediction.guesser(checkpoint, tensors, len(class_names), config.weights)
        result = np.zeros([len(pictures), len(class_names)], np.float32)
        for one in prediction.answers(pictures, checkpoint, guess, batch_size=config.batch_size):
            if one.error:
                raise RunError(f"cannot check {path} - {one.error}; mend the data")
            result[one.number, one.guesses] = one.probabilities
        return result

    with writing(path), tempfile.TemporaryDirectory(dir=path.parent, prefix=".export") as work:
        partial = Path(work) / path.name
        if config.format == "saved_model":
            contents = [_content(examples, int(i), p.short_side) for i in held_out[:CHECKED]]
            with ops.algorithm("native"):
                saved_model.write(partial, model, probabilities, p, class_names, config.max_pixels)
            wanted = reference(_files(contents))
            found = _asked(partial, contents, class_names)
            result = _compare(found, wanted, path)
        else:
            chosen = held_out[: SCORED if config.int8 else CHECKED]
            pictures, pixels = _chosen(examples, chosen, p.short_side)
            wanted = reference(pictures)
            with ops.algorithm("native"):
                if config.int8:
                    several = np.random.default_rng(0).permutation(training)[:REPRESENTATIVE]
                    prepared = _prepared(_chosen(examples, several, p.short_side)[0], p)
                    content = lite.quantized(probabilities, p, list(prepared))
                    inputs: Iterator[np.ndarray] = _prepared(pictures, p)
                else:
                    content = lite.floating(probabilities, p, examples.channels)
                    inputs = (pixels(n) for n in range(len(pictures)))
            partial.write_bytes(content)
            run_lite = lite.runner(content)
            found = np.stack([run_lite(value) for value in inputs])
            if config.int8:
                result = _cost(found, wanted, examples.labels[chosen], path)
            else:
                result = _compare(found, wanted, path)
        if path.is_dir():
            shutil.rmtree(path)
        os.replace(partial, path)
    files = [f for f in path.rglob("*") if f.is_file()] if path.is_dir() else [path]
    size = sum(f.stat().st_size for f in files)
    out.print(f"{path}: {size / 1e6:.1f} MB; {', '.join(f'{k} {v}' for k, v in result.items())}")
    plain = {"export": str(path), "bytes": size, "step": checkpoint.step} | result
    print(json.dumps(plain), flush=True)


def _content(examples: Examples, index: int, short_side: int) -> bytes:
    """A picture as a file: its own, or where there is none a PNG of its pixels."""
    if examples.content is not None and examples.from_content:
        return examples.content(index)
    pixels = examples.load(index, short_side)
    file = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).save(file, "PNG")
    return file.getvalue()


def _files(contents: list[bytes]) -> Pictures:
    def load(index: int, short_side: int) -> np.ndarray:
        return decode.picture_in(contents[index], f"picture {index}", short_side)

    return Pictures([str(n) for n in range(len(contents))], _none(len(contents)), 3, load)


def _chosen(
    examples: Examples, indices: np.ndarray, short_side: int
) -> tuple[Pictures, Callable[[int], np.ndarray]]:
    """Pictures for prediction, and the pixels that they are scaled from.

    Files come at their own size, up to twice the short side that prediction scales them to.
    """

    def pixels(number: int) -> np.ndarray:
        index = int(indices[number])
        if examples.content is None or not examples.from_content:
            return examples.load(index, short_side)
        content = examples.content(index)
        with Image.open(io.BytesIO(content)) as image:
            own = min(image.size)
        return decode.picture_in(content, examples.names[index], min(own, 2 * short_side))

    def load(number: int, short_side: int) -> np.ndarray:
        return decode.resize(pixels(number), short_side)

    names = [examples.names[index] for index in indices]
    return Pictures(names, _none(len(names)), examples.channels, load), pixels


def _none(count: int) -> np.ndarray:
    return np.full(count, -1, np.int32)


def _prepared(pictures: Pictures, p: preprocess.Preprocessing) -> Iterator[np.ndarray]:
    for index in range(len(pictures)):
        image = tf.constant(pictures.load(index, p.short_side))
        yield preprocess.evaluation(image, p).numpy()[np.newaxis]


def _asked(path: Path, contents: list[bytes], class_names: list[str]) -> np.ndarray:
    """What the SavedModel on the disk says, its classes in the order of the logits."""
    classify: Callable = tf.saved_model.load(str(path)).signatures["serving_default"]
    number = {name.encode("utf-8", "surrogateescape"): n for n, name in enumerate(class_names)}
    result = np.zeros([len(contents), len(class_names)], np.float32)
    for row, content in enumerate(contents):
        try:
            said = classify(content=tf.constant([content]))
        except tf.errors.OpError as error:
            why = error.message.splitlines()[0]
            raise RunError(
                f"cannot export the decoder - a held-out picture is refused in the graph ({why}); "
                "see docs/export.md for what it reads, or --format=litert, which takes pixels"
            ) from error
        columns = [number[name] for name in said["class_names"].numpy()[0]]
        result[row, columns] = said["probabilities"].numpy()[0]
    return result


def _compare(found: np.ndarray, wanted: np.ndarray, path: Path) -> dict[str, float]:
    """Counts and largest difference.

    Raises:
      RunError: The answers differ.
    """
    difference = float(np.abs(found - wanted).max())
    other = int((found.argmax(1) != wanted.argmax(1)).sum())
    if other or not difference <= TOLERANCE:
        raise RunError(
            f"no export in {path} - of {len(wanted)} held-out pictures {other} have another class "
            f"than in prediction, probabilities differ by up to {difference:.2g}; nothing was kept"
        )
    return {"checked": len(wanted), "largest_difference": difference}


def _cost(
    found: np.ndarray, wanted: np.ndarray, labels: np.ndarray, path: Path
) -> dict[str, float]:
    if not np.isfinite(found).all():
        raise RunError(f"no export in {path} - answers are not finite in int8; leave --int8 out")
    before, after = (float((y.argmax(1) == labels).mean()) for y in (wanted, found))
    same = float((found.argmax(1) == wanted.argmax(1)).mean())
    return {
        "checked": len(labels),
        "top1": round(before, 4),
        "top1_int8": round(after, 4),
        "same_class": round(same, 4),
    }
