"""One convolution by several algorithms: errors, gradients, time, memory."""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from hw2 import ops
from hw2.bench.layers import Layer
from hw2.bench.memory import peak_bytes
from hw2.errors import UsageError
from hw2.ops import own
from hw2.ops.geometry import Window
from hw2.ops.verify import definition, errors

NATIVE = "native"
PARTS = ("y", "dx", "dw")


class Peer(NamedTuple):
    """A way to convolve: an algorithm of `hw2.ops`, and a product where im2col takes one."""

    algorithm: str
    product: str = ""

    @property
    def name(self) -> str:
        """As tables have it."""
        if self.algorithm == NATIVE:
            return "tf.nn"
        return f"im2col by {self.product}" if self.product else self.algorithm

    def convolve(self, x: tf.Tensor, w: tf.Tensor, window: Window) -> tf.Tensor:
        """Convolves."""
        with ops.algorithm(self.algorithm, product=self.product):
            return ops.conv2d(x, w, *window[1:])


def measure(
    layer: Layer, peers: Sequence[Peer], *, batch: int, rounds: int, dtype: str = "float32"
) -> dict[str, Any]:
    """Runs a layer by each peer in turn, with both its gradients, in a graph.

    Args:
      layer: The convolution.
      peers: What convolves.
      batch: Number of images that are timed; errors are those of one image.
      rounds: Timed steps of each peer, of which the median counts.
      dtype: Of images and filters.

    Returns:
      "layer", "count", and "peers": by name, "errors" of y, dx and dw (largest difference from the
      definition, over the largest that the sums reach without cancelling), "ms" and "mb"; or
      "failed", the reason in a line.
    """
    one, many = (_values(layer, n, dtype) for n in (1, batch))
    exact = [tensor.numpy().astype(np.float64) for tensor in one]
    truth, sizes = (
        definition.conv(*values[:2], window=layer.window, dy=values[2])
        for values in (exact, [abs(value) for value in exact])
    )
    truth, sizes = [truth[0], *truth[1]], [sizes[0], *sizes[1]]
    found: dict[str, dict[str, Any]] = {}
    calls: dict[str, Callable[[], object]] = {}
    for peer in peers:
        try:
            with _told(peer):
                results = [t.numpy().astype(np.float64) for t in _step(peer, layer, one)(*one)]
                step = _step(peer, layer, many)
                step(*many)
        except UsageError as fault:
            found[peer.name] = {"failed": str(fault)}
            continue
        calls[peer.name] = _call(step, many)
        memory = peak_bytes(step.graph)
        found[peer.name] = {
            "errors": dict(zip(PARTS, map(errors.error, results, truth, sizes), strict=True)),
            "mb": None if memory is None else round(memory / 1e6, 3),
        }
    for name, seconds in _times(calls, rounds).items():
        found[name]["ms"] = round(1e3 * seconds, 3)
    return {"layer": str(layer), "count": layer.times, "peers": found}


def _values(layer: Layer, n: int, dtype: str) -> list[tf.Tensor]:
    """Images, filters and the gradient that arrives, in [-1, 1]."""
    rng = np.random.default_rng(0)
    positions = definition.positions(layer.image[:2], layer.window)
    shapes = [(n, *layer.image), layer.filters, (n, *positions, layer.filters[3])]
    return [tf.cast(tf.constant(rng.uniform(-1, 1, shape)), dtype) for shape in shapes]


def _call(step: Any, values: Sequence[tf.Tensor]) -> Callable[[], object]:
    """A call that returns once its work is done."""
    return lambda: step(*values)[0].numpy()


def _step(peer: Peer, layer: Layer, values: Sequence[tf.Tensor]) -> Any:
    """The convolution and its gradients as one graph, traced."""

    @tf.function(autograph=False)
    def step(x, w, dy):
        with tf.GradientTape() as tape:
            tape.watch([x, w])
            y = peer.convolve(x, w, layer.window)
        gradients = tape.gradient(y, [x, w], dy)
        own.check_gradients(peer.name, gradients)
        return [y, *gradients]

    return step.get_concrete_function(*values)


@contextlib.contextmanager
def _told(peer: Peer) -> Iterator[None]:
    """Turns what TensorFlow refuses in the block, or an algorithm, into a `UsageError`."""
    try:
        yield
    except (tf.errors.OpError, LookupError, TypeError, ValueError) as error:
        lines = str(getattr(error, "message", None) or error).strip().splitlines()
        why = lines[0] if lines else type(error).__name__
        raise UsageError(f"{peer.name} cannot do it - {why}") from error


def _times(calls: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median seconds of each; one call each in turn, so that a slow moment slows all alike."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in times.items()}


def totals(results: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Sums up a model: the largest errors, all milliseconds, and the memory of the largest layer.

    Args:
      results: Of `measure`, one for each layer; one that a model has twice counts twice.

    Returns:
      By peer, in the form of `measure`. A peer that failed somewhere is said to.
    """
    sums: dict[str, dict[str, Any]] = {}
    for name in dict.fromkeys(name for result in results for name in result["peers"]):
        found = [(result["count"], result["peers"][name]) for result in results]
        failed = sum("failed" in of_layer for _, of_layer in found)
        if failed:
            sums[name] = {"failed": f"failed on {failed} of {len(found)} layers"}
            continue
        megabytes = [of_layer["mb"] for _, of_layer in found if of_layer["mb"] is not None]
        sums[name] = {
            "errors": {part: max(f["errors"][part] for _, f in found) for part in PARTS},
            "mb": max(megabytes, default=None),
            "ms": round(sum(count * of_layer["ms"] for count, of_layer in found), 3),
        }
    return sums
