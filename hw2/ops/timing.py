"""What "auto" stands for, found out by a clock: once for each convolution, then remembered.

A choice is remembered by the process, and by the machine in a file of the cache folder. A run
records those it made, `choices()`, and hands them to `use` when it is resumed, since algorithms
differ in the last bits of their results.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import filelock
import tensorflow as tf
from tensorflow.python.framework.config import is_op_determinism_enabled  # has no public name

from hw2.ops import fusion
from hw2.ops.direct import build, cache, cpu
from hw2.ops.geometry import Window

VARIABLE = "HW2_CONV_CHOICE"  # "rule" forbids the clock
ROUNDS = 7
COLOURS = 3  # channels at most of a picture
WAIT = 10  # seconds for another process to write its choices
_HOPELESS = 1.5  # times the least: a candidate that is not timed again
_EQUAL = 1.03  # times the least: the noise of a clock, within which the rule decides

Convolution = Callable[[tf.Tensor, tf.Tensor, Window], tf.Tensor]

_given: dict[str, str] = {}  # by the run that is resumed
_taken: dict[str, str] = {}  # since `use` was called: what a run records
_made: dict[str, str] = {}
_of_machine: dict[str, str] | None = None  # as the file had them when it was first read
_said = False


def choices() -> dict[str, str]:
    """The algorithm of each convolution traced since `use`, with those that `use` was given."""
    return {**_given, **_taken}


def use(choices: Mapping[str, str]) -> None:
    """Makes these choices, of an earlier process of the run, come before all others.

    Args:
      choices: As `choices()` returned them; an algorithm that cannot be had here is passed over.
    """
    _given.clear()
    _taken.clear()
    _given.update(choices)


@tf.autograph.experimental.do_not_convert
def choose(
    mode: str,
    x: tf.Tensor,
    w: tf.Tensor,
    window: Window,
    candidates: Mapping[str, Convolution],
    by_rule: str,
) -> str:
    """Names the fastest algorithm for a convolution and the gradients that a training needs.

    It is measured while a graph is traced, for shapes that are known, unless `HW2_CONV_CHOICE` is
    "rule", TensorFlow is to be deterministic or something checks the values of each operation.

    Args:
      mode: "auto" or "fastest", whose candidates differ.
      x: `[N, H, W, groups*C]`.
      w: `[kH, kW, C, O]`.
      window: Its kernel is (kH, kW).
      candidates: Algorithms that can do it.
      by_rule: The one to take where nothing was measured and may not be.
    """
    if not x.shape.is_fully_defined():
        return by_rule
    layer = _layer(mode, x, w, window)
    key = f"{layer} of {x.shape[0]}"
    name = _choose(layer, key, x, w, window, candidates, by_rule)
    if not tf.executing_eagerly():
        _taken[key] = name
    return name


def _choose(
    layer: str,
    key: str,
    x: tf.Tensor,
    w: tf.Tensor,
    window: Window,
    candidates: Mapping[str, Convolution],
    by_rule: str,
) -> str:
    """Finds the choice in what is known, or measures."""
    if _given.get(key) in candidates:
        return _given[key]
    if os.environ.get(VARIABLE) == "rule" or is_op_determinism_enabled():
        return by_rule
    for known in (_made, _read()):
        if found := _known(known, layer, x.shape[0], candidates):
            _made[key] = found
            return found
    if tf.executing_eagerly() or 0 in (*x.shape, *w.shape) or len(candidates) == 1:
        return by_rule  # outside of graphs shapes come and go
    if fusion.checked():
        return by_rule  # checks cost more the more operations an algorithm has
    _made[key] = _measure(x, w, window, candidates, by_rule)
    _write({key: _made[key]})
    return _made[key]


def _layer(mode: str, x: tf.Tensor, w: tf.Tensor, window: Window) -> str:
    """Everything about a convolution but the number of images."""
    _, strides, padding, dilations = window
    if not isinstance(padding, str):
        padding = "/".join(str(v) for pair in padding for v in pair)
    sizes = "x".join(map(str, x.shape[1:])), "x".join(map(str, w.shape))
    steps = "x".join(map(str, strides)), "x".join(map(str, dilations))
    return f"{mode} {x.dtype.name} {sizes[0]} {sizes[1]} s{steps[0]} d{steps[1]} {padding}"


def _known(
    known: Mapping[str, str], layer: str, images: int, candidates: Mapping[str, Convolution]
) -> str | None:
    """The choice for so many images, or for the next larger number of them.

    So the last batch of an epoch and a single picture take what the training takes.
    """
    start = f"{layer} of "
    numbers = (int(key.removeprefix(start)) for key in known if key.startswith(start))
    for number in sorted(n for n in numbers if n >= images):
        if known[f"{start}{number}"] in candidates:
            return known[f"{start}{number}"]
    return None


def _measure(
    x: tf.Tensor, w: tf.Tensor, window: Window, candidates: Mapping[str, Convolution], by_rule: str
) -> str:
    """Runs the candidates in turns, each with its gradients in a graph; returns the fastest.

    A candidate that there is not enough memory for is left out, unless it is the last one.
    """
    global _said
    if not _said:
        _said = True
        print("measuring which convolution is the fastest (once) ...", file=sys.stderr, flush=True)
    with tf.init_scope():  # out of the graph that is being traced
        images, filters = (
            tf.cast(tf.random.stateless_normal(t.shape, [k, 0]), t.dtype)
            for k, t in enumerate((x, w))
        )
        steps = {  # concrete, since TensorFlow warns of a function that it traces time and again
            name: _step(convolve, window).get_concrete_function(images, filters)
            for name, convolve in candidates.items()
        }
        for name in candidates:
            try:
                steps[name](images, filters)  # the first run allocates
            except tf.errors.ResourceExhaustedError:
                if len(steps) == 1:
                    raise
                del steps[name]
        times: dict[str, list[float]] = {name: [] for name in steps}
        for _ in range(ROUNDS):
            for name, of_name in times.items():
                start = time.perf_counter()
                steps[name](images, filters)
                of_name.append(time.perf_counter() - start)
            least = min(min(of_name) for of_name in times.values())
            times = {n: of_n for n, of_n in times.items() if min(of_n) <= _HOPELESS * least}
    shortest = {name: min(of_name) for name, of_name in times.items()}  # other work only adds time
    best = min(shortest, key=shortest.__getitem__)
    return by_rule if shortest.get(by_rule, float("inf")) <= _EQUAL * shortest[best] else best


def _step(convolve: Convolution, window: Window) -> tf.types.experimental.PolymorphicFunction:
    """A convolution and the gradients that a training needs, as one graph."""

    @tf.function(autograph=False)
    def step(x, w):
        y = convolve(x, w, window)
        sources = [w] if x.shape[3] <= COLOURS else [x, w]
        # not by a GradientTape, which records nothing while another graph is being traced: that
        # is what `tf.init_scope` does
        return [y, *tf.gradients(y, sources, y)]

    return step


def _machine() -> str:
    """What the times depend on, besides the convolution; and what was timed."""
    threads = tf.config.threading.get_intra_op_parallelism_threads() or os.cpu_count()
    isa = os.environ.get(cpu.VARIABLE) or cpu.available()[0]
    versions = f"kernel {build.version()}, TensorFlow {tf.version.VERSION}"
    return f"{cpu.name()}, {isa}, {threads} threads, {versions}, with gradients"


def _file() -> Path | None:
    folder = cache.folder()
    return folder and folder / "choices.json"


def _read() -> dict[str, str]:
    """The choices of this machine, by earlier processes."""
    global _of_machine
    if _of_machine is None:
        _of_machine = _content().get(_machine(), {})
    return _of_machine


def _content() -> dict[str, dict[str, str]]:
    """The choices of all machines that share the file; nothing where it cannot be read."""
    with contextlib.suppress(OSError, ValueError):
        path = _file()
        content = json.loads(path.read_text("utf-8")) if path else {}
        if isinstance(content, dict) and all(isinstance(v, dict) for v in content.values()):
            return content
    return {}


def _write(new: Mapping[str, str]) -> None:
    """Adds choices to the file; without it they are made again by the next process."""
    path = _file()
    if path is None:
        return
    with contextlib.suppress(OSError, filelock.Timeout):
        path.parent.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(path.with_suffix(".lock"), timeout=WAIT):
            content = _content()
            content[_machine()] = {**content.get(_machine(), {}), **new}
            with tempfile.NamedTemporaryFile(
                "w", dir=path.parent, prefix="choices-", suffix=".tmp", delete=False
            ) as file:
                json.dump(content, file, indent=1)
            cache.replace(Path(file.name), path)
