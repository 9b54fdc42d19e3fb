"""The model of a run, which answers about one picture at a time."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from PIL import Image

from hw2.config.settings import Config
from hw2.errors import DataError
from hw2.input import pipeline
from hw2.input.files import decode
from hw2.input.transforms import preprocess
from hw2.jobs import calibration, gradcam, multilabel, rejection, spec
from hw2.jobs import model as trained
from hw2.jobs.guess import guesser
from hw2.report import thumbnail
from hw2.runs.checkpoints import Checkpoint
from hw2.serve import sums
from hw2.serve.layer import CONVOLUTION, Layer
from hw2.serve.nearest import Nearest
from hw2.serve.network import Network, Values
from hw2.serve.pictures import Picture, Pictures
from hw2.serve.refusal import Refusal
from hw2.terminal import console
from hw2.training.rejection import rejected as is_rejected

NEAREST = 6  # training pictures, as many as stand in a row of the page
KEPT = 16  # pictures, as the model sees them
WAIT = 30.0  # seconds for the pictures of others, before a request is refused
SHEET, COLUMNS = 64, 8  # channels on one sheet, and in one of its rows
TILE = 56  # pixels, the longest side of a channel on a sheet
SHOWN = 280  # pixels, the side to which small pictures are enlarged

Json = dict[str, Any]


class Model:
    """A model, its classes and its layers. Any thread may ask; they take turns."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        tensors: Mapping[str, np.ndarray],
        config: Config,
        nearest: int = NEAREST,
    ):
        """Builds the model and classifies a blank picture, so that the first one need not wait.

        Args:
          checkpoint: A checkpoint of the run.
          tensors: Its tensors by name.
          config: The settings: `weights`, `top_k`, `tta`, `reject_below`, `reject_by`,
            `threshold`, `max_pixels` and `min_size`; and those that say where the training
            data are.
          nearest: How many of the nearest training pictures to find; 0 for none.

        Raises:
          RunError: The checkpoint has no such weights, or they are not finite.
        """
        identity = checkpoint.state["identity"]
        self.checkpoint, self._config = checkpoint, config
        self.class_names: list[str] = identity["class_names"]
        self.shape = spec.image_shape(identity)
        self._preprocessing = spec.preprocessing(identity)
        self._module = trained.load(checkpoint, tensors, config.weights)
        out = console.stderr()
        calibrated = calibration.of(checkpoint, config.weights, out, config.tta)
        self._chosen = rejection.of(config, checkpoint, tensors, calibrated, out)
        several = multilabel.is_of(identity)
        self._cuts = multilabel.thresholds(config, checkpoint)[0] if several else None
        k = len(self.class_names) if several else min(config.top_k, len(self.class_names))
        temperature = calibration.temperature(calibrated)
        self._guess = guesser(
            self._module, checkpoint, k, config.tta, temperature, self._chosen.distance
        )
        self.network = Network(self._module, self.shape)
        self._nearest = Nearest(self._module, checkpoint, config, nearest)
        self._pictures = Pictures(KEPT)
        self._last: tuple[Picture, Values] | None = None
        self._turn = threading.Lock()
        blank = tf.zeros([1, *self.shape])
        self._guess(blank)
        self._target = gradcam.target_of(self._module, self.shape)

    def describe(self) -> Json:
        """The model: its classes, the size of its pictures, and its layers."""
        height, width, channels = self.shape
        return {
            "model": self.checkpoint.state["identity"]["model"],
            "step": self.checkpoint.step,
            "classes": self.class_names,
            "picture": {"height": height, "width": width, "channels": channels},
            "layers": [_described(layer) for layer in self.network.layers],
        }

    def predict(self, content: bytes, name: str) -> Json:
        """Classifies the bytes of a picture file, read and prepared as by `hw2 predict`.

        Args:
          content: The bytes.
          name: What messages call it.

        Returns:
          "picture", under which name it is kept; "guesses", the likeliest classes with their
          probabilities; "rejected", whether `--reject_below` rejects it. With
          `--reject_by=distance` also "distance" and "reject_above", from which distance on a
          picture is rejected. Of a model of several labels a picture, all classes are guesses, and
          "present" says which it has.

        Raises:
          Refusal: It is not a picture that can be read, or others take too long.
        """
        p = self._preprocessing
        with self._in_turn():
            try:
                loaded = decode.picture_in(
                    content,
                    name,
                    pipeline.loaded_size(p),
                    max_pixels=self._config.max_pixels,
                    min_size=self._config.min_size,
                )
            except DataError as error:
                raise Refusal(422, str(error)) from error
            image = preprocess.evaluation(loaded, p)[None]
            classes, probabilities, finite, sure = (
                value.numpy()[0] for value in self._guess(image)
            )
        if not finite:
            raise Refusal(422, f"no answer for {name} - the model's answer is not finite")
        token = self._pictures.keep(Picture(image, int(classes[0])))
        guesses: list[Json] = [
            {"class": self.class_names[c], "probability": round(float(value), 6)}
            for c, value in zip(classes, probabilities, strict=True)
        ]
        if self._cuts is not None:
            for guess, c, value in zip(guesses, classes, probabilities, strict=True):
                guess["present"] = bool(value >= self._cuts[c])
        rejected = bool(is_rejected(sure, self._chosen.threshold))
        found: Json = {"picture": token, "guesses": guesses, "rejected": rejected}
        if self._chosen.distance:
            found["distance"] = round(-float(sure), 4)
            found |= {n: v for n, v in self._chosen.plain().items() if n == "reject_above"}
        return found

    def look(self, token: str) -> Json:
        """A kept picture as the model sees it, "seen", and "heat", what speaks for the guess.

        Both are images as data URIs; "heat" is null for a model without maps that show a place.
        """
        picture = self._pictures.find(token)
        pixels = preprocess.visible(picture.image[0].numpy(), self._preprocessing)
        found: Json = {"seen": thumbnail.encode(_enlarged(pixels), exact=True), "heat": None}
        if self._target is not None:
            with self._in_turn():
                [heat] = gradcam.heat(
                    self._module, picture.image, np.array([picture.guess], np.int32), self._target
                ).numpy()
            grey = thumbnail.stretched(_enlarged(pixels).mean(2))
            found["heat"] = thumbnail.encode(gradcam.overlay(grey, heat))
        return found | {"class": self.class_names[picture.guess]}

    def nearest(self, token: str) -> Json:
        """The training pictures nearest to a kept picture, see `Nearest.of`."""
        picture = self._pictures.find(token)
        if not self._nearest.ready:
            return self._nearest.told()  # without waiting for a turn
        with self._in_turn():
            return self._nearest.of(picture.image)

    def channels(self, token: str, number: int, first: int) -> Json:
        """A sheet of the channels of a layer, from `first` on, at most 64 of them.

        Returns:
          "sheet", an image as a data URI with 8 tiles in a row, each from its smallest value,
          black, to its largest, white; of a vector, all by one scale. "low" and "high", the
          smallest and largest value of each.
        """
        layer = self._layer(number)
        if not 0 <= first < layer.size[2]:
            raise Refusal(404, f"no channel {first} - the layer has {layer.size[2]}")
        y = self._output(token, layer)[:, :, first : first + SHEET]
        return {
            "layer": number,
            "first": first,
            "columns": COLUMNS,
            "sheet": _sheet(y),
            "low": [sums.number(value) for value in y.min((0, 1))],
            "high": [sums.number(value) for value in y.max((0, 1))],
        }

    def channel(self, token: str, number: int, channel: int) -> Json:
        """The values of a channel, rows of numbers."""
        layer = self._layer(number)
        if not 0 <= channel < layer.size[2]:
            raise Refusal(404, f"no channel {channel} - the layer has {layer.size[2]}")
        y = self._output(token, layer)[:, :, channel]
        values = [[sums.number(value) for value in row] for row in y]
        return {"layer": number, "channel": channel, "values": values}

    def pixel(
        self, token: str, number: int, channel: int, row: int, column: int, *, most: int
    ) -> Json:
        """One value of a channel, as `sums.explain` tells."""
        layer = self._layer(number)
        for name, value, end in zip(
            ("row", "column", "channel"), (row, column, channel), layer.size, strict=True
        ):
            if not 0 <= value < end:
                raise Refusal(404, f"no {name} {value} - the layer has {end}")
        with self._in_turn():
            values = self._values(token)
            return sums.explain(self.network, values, layer, row, column, channel, most=most)

    def close(self) -> None:
        """Waits for the picture that is being classified; no other is begun."""
        self._nearest.close()
        self._turn.acquire(timeout=WAIT)

    def _layer(self, number: int) -> Layer:
        if not 0 <= number < len(self.network.layers):
            raise Refusal(404, f"no layer {number} - the model has {len(self.network.layers)}")
        return self.network.layers[number]

    def _output(self, token: str, layer: Layer) -> np.ndarray:
        """What a layer makes of a picture, `[H, W, C]`."""
        with self._in_turn():
            return self._values(token).of(layer.output).numpy().reshape(layer.size)

    def _values(self, token: str) -> Values:
        """All values for a kept picture. Those of the last one are kept, and no others."""
        picture = self._pictures.find(token)
        if self._last is None or self._last[0] is not picture:
            self._last = None  # frees the memory first
            self._last = (picture, self.network.values(picture.image))
        return self._last[1]

    @contextlib.contextmanager
    def _in_turn(self) -> Iterator[None]:
        """Waits for its turn, for so long as someone before a page would."""
        if not self._turn.acquire(timeout=WAIT):
            raise Refusal(503, f"busy with other pictures for {WAIT:.0f} seconds - try again")
        try:
            yield
        finally:
            self._turn.release()


def _described(layer: Layer) -> Json:
    height, width, channels = layer.size
    found: Json = {
        "number": layer.number,
        "kind": layer.kind,
        "name": layer.name,
        "stage": layer.stage,
        "height": height,
        "width": width,
        "channels": channels,
    }
    if layer.window is not None:
        kernel, strides, padding, dilations = layer.window
        found |= {"kernel": kernel, "strides": strides, "padding": padding}
        if layer.kind == CONVOLUTION:
            found |= {"dilations": dilations, "groups": layer.groups}
    return found


def _sheet(y: np.ndarray) -> str:
    """The channels of maps `[H, W, C]` as tiles of one image, a data URI."""
    height, width, count = y.shape
    joint = y.shape[:2] == (1, 1)  # a vector, whose values are told apart by one scale
    grey = thumbnail.stretched(y) if joint else None
    scale = min(1.0, TILE / max(height, width))
    high, wide = max(1, round(height * scale)), max(1, round(width * scale))
    sheet = np.zeros((-(-count // COLUMNS) * high, COLUMNS * wide), np.uint8)
    for number in range(count):
        tile = thumbnail.stretched(y[:, :, number]) if grey is None else grey[:, :, number]
        if scale < 1:
            tile = np.asarray(Image.fromarray(tile).resize((wide, high), Image.Resampling.BOX))
        top, left = number // COLUMNS * high, number % COLUMNS * wide
        sheet[top : top + high, left : left + wide] = tile
    return thumbnail.encode(sheet, exact=True)


def _enlarged(pixels: np.ndarray) -> np.ndarray:
    """Enlarges small pictures by a whole number, so that a browser shows their pixels."""
    times = max(1, SHOWN // max(pixels.shape[:2]))
    return pixels.repeat(times, 0).repeat(times, 1)
