"""The verification as a product: its table, its JSON, its exit codes."""

import json
import re

import numpy as np
import oracle
import pytest
import tensorflow as tf

from hw2.ops import cases, geometry, verify
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


def by_oracle(op, inputs, dy, kernel, window):
    """Output and gradients by the loops of the oracle."""
    if op == "unfold":
        patches = oracle.unfold(*inputs, kernel, **window)
        size = inputs[0].shape[1:3]
        return patches.reshape(dy.shape), [
            oracle.fold(dy.reshape(patches.shape), size, kernel, **window)
        ]
    if op == "fold":
        shape = (*inputs[0].shape[:3], *kernel, dy.shape[3])
        y = oracle.fold(inputs[0].reshape(shape), dy.shape[1:3], kernel, **window)
        return y, [oracle.unfold(dy, kernel, **window).reshape(inputs[0].shape)]
    if op == "conv2d_transpose":
        x, w = inputs
        y = oracle.conv2d_transpose(x, w, dy.shape[1:], **window)
        _, dw = oracle.conv2d_gradients(dy, w, x, **window)
        return y, [oracle.conv2d(dy, w, **window), dw]
    if op in ("max_pool2d", "avg_pool2d"):
        y, dx = getattr(oracle, op)(*inputs, dy, kernel, **window)
        return y, [dx]
    gradients = getattr(oracle, f"{op}_gradients")(*inputs, dy, **window)
    return getattr(oracle, op)(*inputs, **window), list(gradients)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("op", sorted(OPS.keys() - {"conv1d", "separable_conv2d"}))
def test_the_definition_agrees_with_the_oracle(op, seed):
    """Two plain versions, by index and by loops, written apart; of the two ops left out, the
    definition is made of others."""
    rng = np.random.default_rng(seed)
    case = cases.draw(op, "float64", rng)
    window = case.window._asdict()
    kernel = window.pop("kernel")
    *inputs, dy = (
        rng.standard_normal(shape) for shape in [*OPS[op].inputs(case), OPS[op].output(case)]
    )
    y, gradients = OPS[op].truth(*inputs, window=case.window, dy=dy)
    expected_y, expected = by_oracle(op, inputs, dy, kernel, window)
    assert np.allclose(y, expected_y, rtol=1e-12, atol=1e-12)  # minus infinities may be equal
    for a, b in zip(gradients, expected, strict=True):
        assert oracle.error(a, b) < 1e-13


@pytest.mark.parametrize("algorithm", ["im2col", "extract_patches", "direct"])
def test_every_algorithm_is_in_bounds(algorithm, capsys):
    arguments = ["--op", "conv2d", "conv1d", "--shapes", "random", "--cases", "24"]
    assert verify.main([*arguments, f"--algorithm={algorithm}"]) == 0, capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ["im2col", "extract_patches", "direct"])
@pytest.mark.parametrize("shapes", [["--shapes", "random", "--cases", "300"], []])
def test_convolutions_are_in_bounds_by_every_algorithm(algorithm, shapes, capsys):
    arguments = ["--op", "conv2d", "conv1d", *shapes, f"--algorithm={algorithm}", "--json"]
    assert verify.main(arguments) == 0, capsys.readouterr().out[-500:]


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [["--shapes", "random", "--cases", "500"], []])
def test_all_ops_are_in_bounds(arguments, capsys):
    assert verify.main([*arguments, "--json"]) == 0, capsys.readouterr().out[-500:]
