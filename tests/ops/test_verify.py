"""The verification as a product: its table, its JSON, its exit codes."""

import json
import re

import numpy as np
import oracle
import pytest
import tensorflow as tf

from hw2.ops import cases, definition, geometry, verify
from hw2.ops.cases import OPS, Case


def test_the_grid_has_forty_convolutions():
    assert len(list(cases.grid("conv2d", "float32"))) >= 40


def test_the_table(capsys, monkeypatch):
    monkeypatch.setattr(verify, "grid", lambda op, dtype: list(cases.grid(op, dtype))[:2])
    assert verify.main(["--op", "conv2d"]) == 0
    *_, first, second, last = capsys.readouterr().out.splitlines()
    assert re.match(r"conv2d +2x9x12x4 3x3->6 s1x1 d1x1 SAME +float32( +\d\.\de[+-]\d\d){9}", first)
    assert "SAME g2" in second
    assert last.startswith("2 cases, 0 out of bounds; bounds: float16 ")


def test_json_and_the_exit_code(capsys, monkeypatch):
    arguments = ["--shapes", "random", "--cases", "6", "--op", "conv2d", "--seed", "3", "--json"]
    assert verify.main(arguments) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["out_of_bounds"] == 0
    assert [case["dtype"] for case in result["cases"]] == [*verify.DTYPES, *verify.DTYPES[:2]]
    monkeypatch.setitem(verify.BOUNDS, "float64", -1)
    assert verify.main(arguments) == 1
    assert json.loads(capsys.readouterr().out)["out_of_bounds"] == 1


@pytest.mark.parametrize(
    "fault",
    [
        lambda y: y * 1.0001,
        lambda y: y + tf.constant(np.nan, y.dtype),
        lambda y: tf.stop_gradient(y) + 0 * y,
    ],
)
def test_a_fault_is_out_of_bounds(fault, monkeypatch):
    right = OPS["conv2d"]
    wrong = right._replace(ours=lambda case, x, w: fault(right.ours(case, x, w)))
    case = Case("conv2d", "float32", (1, 5, 5, 2), geometry.window(3), filters=2)
    assert verify.measure(case)["ok"]
    monkeypatch.setitem(OPS, "conv2d", wrong)
    assert not verify.measure(case)["ok"]


def test_another_shape_is_an_error(monkeypatch):
    wrong = OPS["unfold"]._replace(ours=lambda case, x: x)
    monkeypatch.setitem(OPS, "unfold", wrong)
    case = Case("unfold", "float32", (1, 5, 5, 2), geometry.window(3))
    with pytest.raises(ValueError, match=r"output must have shape \(1, 5, 5, 18\), got"):
        verify.measure(case)


@pytest.mark.parametrize("seed", range(20))
def test_the_definition_agrees_with_the_oracle(seed):
    """Two plain versions, by index and by loops, written apart."""
    rng = np.random.default_rng(seed)
    case = cases.draw("conv2d", "float64", rng)
    window = case.window._asdict()
    kernel = window.pop("kernel")
    x, w, dy = (
        rng.standard_normal(shape)
        for shape in [*OPS["conv2d"].inputs(case), OPS["conv2d"].output(case)]
    )
    y, gradients = definition.conv2d(x, w, window=case.window, dy=dy)
    expected = oracle.conv2d(x, w, **window), *oracle.conv2d_gradients(x, w, dy, **window)
    for a, b in zip([y, *gradients], expected, strict=True):
        assert oracle.error(a, b) < 1e-13
    patches = oracle.unfold(x, kernel, **window)
    assert np.array_equal(definition._read(x, case.window), patches)
