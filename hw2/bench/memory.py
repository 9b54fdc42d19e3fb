"""How much memory the tensors of a graph take at once."""

from __future__ import annotations

import math

import tensorflow as tf

# These hand on the memory of their first input.
_VIEWS = ("Identity", "IdentityN", "Reshape", "Squeeze", "ExpandDims", "StopGradient", "Snapshot")
_GIVEN = ("Placeholder", "Const", "NoOp")


def peak_bytes(graph: tf.Graph) -> int | None:
    """Adds up the tensors that are alive at the same time, and returns the most there ever are.

    The operations are taken one after another, in the order in which the graph lists them; a
    tensor is freed after its last use, unless the graph returns it. Inputs and constants do not
    count, nor does what an operation allocates for itself.

    Returns:
      Bytes; None where a size is not known before running.
    """
    owner: dict[str, str] = {}  # of each tensor, the one whose memory it is in
    size: dict[str, int] = {}
    last: dict[str, int] = {}
    operations = graph.get_operations()
    for place, op in enumerate(operations):
        for tensor in op.inputs:
            if tensor.name in owner:
                last[owner[tensor.name]] = place
        if op.type in _GIVEN:
            continue
        for number, tensor in enumerate(op.outputs):
            if op.type in _VIEWS and number < len(op.inputs):
                source = op.inputs[number].name
                if source in owner:
                    owner[tensor.name] = owner[source]
                continue
            if not tensor.shape.is_fully_defined():
                return None
            owner[tensor.name] = tensor.name
            size[tensor.name] = math.prod(tensor.shape) * tensor.dtype.size
            last.setdefault(tensor.name, place)
    for tensor in getattr(graph, "outputs", ()):
        if tensor.name in owner:
            last[owner[tensor.name]] = len(operations)
    return _peak(size, last, operations)


def _peak(size: dict[str, int], last: dict[str, int], operations: list[tf.Operation]) -> int:
    """The largest sum, from the sizes of tensors and the places of their last use."""
    alive = most = 0
    ends: dict[int, int] = {}
    for place, op in enumerate(operations):
        for tensor in op.outputs:
            if tensor.name in size:
                alive += size[tensor.name]
                ends[last[tensor.name]] = ends.get(last[tensor.name], 0) + size[tensor.name]
        most = max(most, alive)
        alive -= ends.pop(place, 0)
    return most
