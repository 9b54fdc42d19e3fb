"""One value of a layer, as what it is computed from: a window, weights and their sum."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from hw2.serve.layer import (
    ACTIVATIONS,
    AVERAGE_POOL,
    CONCATENATION,
    DENSE,
    DEPTHWISE,
    FLATTEN,
    MAX_POOL,
    MEAN,
    NORM,
    PICTURE,
    WEIGHTED,
    Layer,
)
from hw2.serve.network import Network, Values

MOST = 8  # terms that are written out, if not said otherwise
_FOLLOW = (NORM, *ACTIVATIONS.values())  # layers that change each value by itself

Json = dict[str, Any]


def explain(
    network: Network,
    values: Values,
    layer: Layer,
    row: int,
    column: int,
    channel: int,
    *,
    most: int = MOST,
) -> Json:
    """Says how one value of a layer comes about.

    Args:
      network: The network.
      values: Its values for an image.
      layer: One of its layers.
      row: Row of the value; 0 in a vector.
      column: Its column; 0 in a vector.
      channel: Its channel.
      most: How many input channels to write out, those that contribute most.

    Returns:
      Plain JSON, with numbers of nine digits, which tell any two float32 apart. "value" is what the
      network computed, in float32, and "sum" is the sum written out, in float64, with the bias.
      "terms" are the input channels: "channel", "inputs" and, where there are weights, "weights",
      both rows of numbers, and "sum", of the products; "from" is where they come from. "rows" and
      "columns" are those of the window in the input, null outside of it, where the value is
      padding. "rest" is the number and the sum of the terms that are not listed. "then" explains
      the same value in the batch norm and the activation that follow.
    """
    found: Json = {
        "layer": layer.number,
        "kind": layer.kind,
        "row": row,
        "column": column,
        "channel": channel,
        "value": number(_value(values, layer, row, column, channel)),
    }
    if layer.kind == PICTURE:
        return found | {"terms": [], "sum": found["value"], "then": []}
    if layer.kind in WEIGHTED:
        found |= _weighted(network, values, layer, row, column, channel, most)
    elif layer.kind in (MAX_POOL, AVERAGE_POOL):
        found |= _pool(network, values, layer, row, column, channel)
    elif layer.kind == MEAN:
        found |= _mean(network, values, layer, channel)
    elif layer.kind == NORM:
        found |= _norm(network, values, layer, row, column, channel)
    else:
        found |= _single(network, values, layer, row, column, channel)
    return found | {"then": _then(network, values, layer, row, column, channel)}


def number(value: float) -> float | None:
    """A number for JSON, of nine digits; None if it is not finite."""
    value = float(value)
    return float(f"{value:.9g}") if math.isfinite(value) else None


def _weighted(
    network: Network,
    values: Values,
    layer: Layer,
    row: int,
    column: int,
    channel: int,
    most: int,
) -> Json:
    """A convolution or a dense layer: the sum of products of a window and weights, and a bias."""
    x = _maps(values, layer, 0)
    w = values.weights(layer.parameters[0])
    rows: list[int | None]
    columns: list[int | None]
    if layer.kind == DENSE:
        first, rows, columns = 0, [row], [column]
        window = x[row, column][None, None]  # [1, 1, C]
        weights = w[:, channel].numpy()[None, None]
    else:
        rows, columns = _places(layer, x.shape, row, column)
        if layer.kind == DEPTHWISE:
            first, filters = channel // w.shape[3], w.shape[3]
            weights = w[:, :, first, channel % filters].numpy()[:, :, None]  # [kH, kW, 1]
        else:
            group = channel // (w.shape[3] // layer.groups)
            first = group * w.shape[2]
            weights = w[:, :, :, channel].numpy()  # [kH, kW, C]
        window = _window(x[:, :, first : first + weights.shape[2]], rows, columns)
    sums = (window.astype(np.float64) * weights.astype(np.float64)).sum((0, 1))  # [C]
    bias = 0.0 if layer.bias is None else float(values.weights(layer.bias)[channel].numpy())
    order = np.argsort(-np.abs(sums), kind="stable")
    terms = [
        _term(network, layer, 0, first + int(c), window[:, :, c])
        | {"weights": _numbers(weights[:, :, c]), "sum": number(sums[c])}
        for c in order[:most]
    ]
    rest = order[most:]
    return {
        "rows": rows,
        "columns": columns,
        "terms": terms,
        "rest": {"channels": len(rest), "sum": number(sums[rest].sum())},
        "bias": None if layer.bias is None else number(bias),
        "sum": number(sums.sum() + bias),
    }


def _pool(
    network: Network, values: Values, layer: Layer, row: int, column: int, channel: int
) -> Json:
    """A pool: the largest value of a window, or the mean of those that are not padding."""
    x = _maps(values, layer, 0)
    rows, columns = _places(layer, x.shape, row, column)
    inside = x[np.ix_([r for r in rows if r is not None], [c for c in columns if c is not None])]
    inside = inside[:, :, channel].astype(np.float64)
    result = inside.max() if layer.kind == MAX_POOL else inside.mean()
    window = _window(x[:, :, channel : channel + 1], rows, columns)[:, :, 0]
    terms = [_term(network, layer, 0, channel, window)]
    return {"rows": rows, "columns": columns, "terms": terms, "sum": number(result)}


def _mean(network: Network, values: Values, layer: Layer, channel: int) -> Json:
    x = _maps(values, layer, 0)
    rows, columns = list(range(x.shape[0])), list(range(x.shape[1]))
    window = x[:, :, channel]
    terms = [_term(network, layer, 0, channel, window)]
    result = window.astype(np.float64).mean()
    return {"rows": rows, "columns": columns, "terms": terms, "sum": number(result)}


def _norm(
    network: Network, values: Values, layer: Layer, row: int, column: int, channel: int
) -> Json:
    """A batch norm in evaluation: a factor and a shift, from its statistics and weights."""
    x = float(_maps(values, layer, 0)[row, column, channel])
    scale, offset, mean, variance = (
        float(values.weights(tensor)[channel].numpy()) for tensor in layer.parameters
    )
    factor = scale / math.sqrt(variance + layer.epsilon)
    shift = offset - mean * factor
    return {
        "terms": [_term(network, layer, 0, channel, np.array([[x]]))],
        "rows": [row],
        "columns": [column],
        "norm": {
            "scale": number(scale),
            "offset": number(offset),
            "mean": number(mean),
            "variance": number(variance),
            "epsilon": number(layer.epsilon),
            "factor": number(factor),
            "shift": number(shift),
        },
        "sum": number(x * factor + shift),
    }


def _single(
    network: Network, values: Values, layer: Layer, row: int, column: int, channel: int
) -> Json:
    """A layer whose value comes from one value of each input, or of one of them."""
    shapes = [_maps(values, layer, index).shape for index in range(len(layer.inputs))]
    if layer.kind == CONCATENATION:
        index = 0
        while channel >= shapes[index][2]:
            channel -= shapes[index][2]
            index += 1
        places = [(index, row, column, channel)]
    elif layer.kind == FLATTEN:
        _, width, channels = shapes[0]
        position, channel = divmod(channel, channels)
        places = [(0, *divmod(position, width), channel)]
    else:
        places = [
            (index, row if high > 1 else 0, column if wide > 1 else 0, channel)
            for index, (high, wide, _) in enumerate(shapes)
        ]
    terms = []
    for index, r, c, k in places:
        value = _maps(values, layer, index)[r, c, k]
        term = _term(network, layer, index, k, np.array([[value]]))
        terms.append(term | {"rows": [r], "columns": [c]})
    return {
        "rows": terms[0]["rows"],
        "columns": terms[0]["columns"],
        "terms": terms,
        "sum": number(_applied(layer.kind, [term["inputs"][0][0] for term in terms])),
    }


def _applied(kind: str, inputs: list[float]) -> float:
    """What a layer of values one by one makes of them, in float64."""
    x = inputs[0]
    if kind == "sum":
        return math.fsum(inputs)
    if kind == "product":
        return math.prod(inputs)
    if kind in _FUNCTIONS:
        return _FUNCTIONS[kind](x)
    return x


_FUNCTIONS = {
    "ReLU": lambda x: max(x, 0.0),
    "ReLU6": lambda x: min(max(x, 0.0), 6.0),
    "tanh": math.tanh,
    "sigmoid": lambda x: 0.5 + 0.5 * math.tanh(0.5 * x),
    "ELU": lambda x: x if x > 0 else math.expm1(x),
    "softplus": lambda x: float(np.logaddexp(0.0, x)),
}


def _then(
    network: Network, values: Values, layer: Layer, row: int, column: int, channel: int
) -> list[Json]:
    """The same value in the batch norm and activation after a layer."""
    after = [other for other in network.after(layer) if other.kind in _FOLLOW]
    if layer.kind in ACTIVATIONS.values() or len(after) != 1:
        return []
    found = explain(network, values, after[0], row, column, channel)
    return [found | {"then": []}, *found["then"]]


def _places(
    layer: Layer, shape: tuple[int, ...], row: int, column: int
) -> tuple[list[int | None], list[int | None]]:
    """The rows and the columns of the input under a window; None where it is padding."""
    if layer.window is None:
        raise ValueError(f"the layer must have a window, got {layer.kind}.")
    found: list[list[int | None]] = []
    for axis, at in zip(layer.window.axes(shape[0], shape[1]), (row, column), strict=True):
        places = [at * axis.stride + tap * axis.dilation - axis.before for tap in range(axis.taps)]
        found.append([place if 0 <= place < axis.size else None for place in places])
    return found[0], found[1]


def _window(x: np.ndarray, rows: list[int | None], columns: list[int | None]) -> np.ndarray:
    """The values `[kH, kW, C]` of maps `[H, W, C]` at rows and columns, zero in padding."""
    window = x[np.ix_([r or 0 for r in rows], [c or 0 for c in columns])].copy()
    window[[r is None for r in rows]] = 0
    window[:, [c is None for c in columns]] = 0
    return window


def _maps(values: Values, layer: Layer, index: int) -> np.ndarray:
    """An input of a layer as maps `[H, W, C]`; a vector is 1x1xC."""
    x = values.of(layer.inputs[index]).numpy()
    return x if x.ndim == 3 else x[None, None]


def _value(values: Values, layer: Layer, row: int, column: int, channel: int) -> float:
    y = values.of(layer.output)
    return float(y[channel] if len(y.shape) == 1 else y[row, column, channel])


def _term(network: Network, layer: Layer, index: int, channel: int, inputs: np.ndarray) -> Json:
    origin = network.origin(layer.inputs[index])
    source = None
    if origin is not None:
        source = {"layer": origin.layer, "channel": origin.first_channel + channel}
    return {"channel": channel, "from": source, "inputs": _numbers(inputs)}


def _numbers(rows: np.ndarray) -> list[list[float | None]]:
    return [[number(value) for value in row] for row in rows.tolist()]
