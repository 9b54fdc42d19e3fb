"""The JSON API: which request asks for what."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from hw2.serve import sums
from hw2.serve.model import Model
from hw2.serve.refusal import Refusal

_TOKEN, _NUMBER = r"([\w-]{1,64})", r"(\d{1,7})"
_PICTURE = f"/pictures/{_TOKEN}"
_CHANNEL = f"{_PICTURE}/layers/{_NUMBER}/channels/{_NUMBER}"

Query = Mapping[str, str]


def get(model: Model, path: str, query: Query) -> dict[str, Any]:
    """Answers a GET request.

    Args:
      model: The model.
      path: The path of the address.
      query: What follows its question mark.

    Raises:
      Refusal: There is nothing there.
    """
    for pattern, answer in _ANSWERS.items():
        if found := re.fullmatch(pattern, path):
            token, *numbers = found.groups() or ("",)
            return answer(model, token, list(map(int, numbers)), query)
    raise Refusal(404, f"nothing at {path[:80]} - see GET /layers and POST /predict")


def _layers(model: Model, token: str, numbers: list[int], query: Query) -> dict[str, Any]:
    return model.describe()


def _picture(model: Model, token: str, numbers: list[int], query: Query) -> dict[str, Any]:
    return model.look(token)


def _nearest(model: Model, token: str, numbers: list[int], query: Query) -> dict[str, Any]:
    return model.nearest(token)


def _channels(model: Model, token: str, numbers: list[int], query: Query) -> dict[str, Any]:
    [layer] = numbers
    return model.channels(token, layer, _number(query, "first", 0))


def _channel(model: Model, token: str, numbers: list[int], query: Query) -> dict[str, Any]:
    layer, channel = numbers
    return model.channel(token, layer, channel)


def _pixel(model: Model, token: str, numbers: list[int], query: Query) -> dict[str, Any]:
    layer, channel, row, column = numbers
    most = _number(query, "most", sums.MOST)
    return model.pixel(token, layer, channel, row, column, most=most)


_ANSWERS: dict[str, Callable[[Model, str, list[int], Query], dict[str, Any]]] = {
    "/layers": _layers,
    _PICTURE: _picture,
    f"{_PICTURE}/nearest": _nearest,
    f"{_PICTURE}/layers/{_NUMBER}": _channels,
    _CHANNEL: _channel,
    f"{_CHANNEL}/pixels/{_NUMBER}/{_NUMBER}": _pixel,
}


def _number(query: Query, name: str, default: int) -> int:
    text = query.get(name, str(default))
    if not re.fullmatch(r"\d{1,7}", text, re.ASCII):
        raise Refusal(400, f"{name} must be a whole number from 0 on, got {text[:20]!r}")
    return int(text)
