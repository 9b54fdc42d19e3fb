"""The verification as a product: its table, its JSON, its exit codes."""

import json
import re

import numpy as np
import oracle
import pytest
import tensorflow as tf

from hw2.ops import geometry
from hw2.ops.verify import __main__ as verify
from hw2.ops.verify import cases
from hw2.ops.verify.cases import OPS, Case


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
    if op.startswith("unfold"):
        patches = oracle.unfold(*inputs, kernel, **window)
        size = inputs[0].shape[1:-1]
        return patches.reshape(dy.shape), [
            oracle.fold(dy.reshape(patches.shape), size, kernel, **window)
        ]
    if op.startswith("fold"):
        shape = (*inputs[0].shape[:-1], *kernel, dy.shape[-1])
        y = oracle.fold(inputs[0].reshape(shape), dy.shape[1:-1], kernel, **window)
        return y, [oracle.unfold(dy, kernel, **window).reshape(inputs[0].shape)]
    if op.endswith("transpose"):
        x, w = inputs
        y = oracle.conv_transpose(x, w, dy.shape[1:], **window)
        _, dw = oracle.conv_gradients(dy, w, x, **window)
        return y, [oracle.conv(dy, w, **window), dw]
    if op in ("max_pool2d", "avg_pool2d"):
        y, dx = getattr(oracle, op)(*inputs, dy, kernel, **window)
        return y, [dx]
    name = "conv" if op.startswith("conv") else op
    gradients = getattr(oracle, f"{name}_gradients")(*inputs, dy, **window)
    return getattr(oracle, name)(*inputs, **window), list(gradients)


# The definitions that are made of others, or have no loops of their own.
MADE = {"separable_conv2d", "octave_conv2d", "deform_conv2d"}


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("op", sorted(OPS.keys() - MADE))
def test_the_definition_agrees_with_the_oracle(op, seed):
    """Two plain versions, by index and by loops, written apart."""
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


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("op", sorted(MADE))
def test_the_gradients_of_a_definition_are_its_differences(op, seed):
    rng = np.random.default_rng(seed)
    case = cases.draw(op, "float64", rng)
    shapes = [*OPS[op].inputs(case), OPS[op].output(case)]
    *inputs, dy = OPS[op].draw([rng.uniform(-1, 1, shape) for shape in shapes])
    _, gradients = OPS[op].truth(*inputs, window=case.window, dy=dy)
    direction = [rng.uniform(-1, 1, x.shape) for x in inputs]
    step = 1e-4
    ahead, behind = (
        OPS[op].truth(
            *(x + sign * step * v for x, v in zip(inputs, direction, strict=True)),
            window=case.window,
            dy=dy,
        )[0]
        for sign in (1, -1)
    )
    slope = sum(np.sum(d * v) for d, v in zip(gradients, direction, strict=True))
    size = sum(np.sum(abs(d * v)) for d, v in zip(gradients, direction, strict=True)) + 1
    assert abs(np.sum((ahead - behind) * dy) / (2 * step) - slope) < 1e-6 * size


def test_second_derivatives_that_are_wrong_are_out_of_bounds(monkeypatch):
    @tf.custom_gradient
    def cut(y):
        return tf.identity(y), lambda dy: tf.stop_gradient(dy)

    right = OPS["conv3d"]
    wrong = right._replace(ours=lambda case, x, w: cut(right.ours(case, x, w)))
    case = Case("conv3d", "float32", (1, 3, 4, 3, 2), geometry.window(2, data_format="NDHWC"))
    assert verify.measure(case, second=True)["ok"]
    monkeypatch.setitem(OPS, "conv3d", wrong)
    assert verify.measure(case)["ok"]
    assert not verify.measure(case, second=True)["ok"]


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


NEW = ["conv3d", "conv1d_transpose", "conv3d_transpose", "deform_conv2d", "octave_conv2d"]
NEW += ["unfold3d", "fold3d"]


def test_signals_volumes_deformable_and_octave_convolution_are_in_bounds(capsys):
    arguments = ["--shapes", "random", "--cases", "7", "--op", *NEW]
    assert verify.main(arguments) == 0, capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("op", ["conv1d", "unfold1d", "fold1d", *NEW])
def test_three_hundred_cases_of_each_new_op_are_in_bounds(op, capsys):
    arguments = ["--shapes", "random", "--cases", "300", "--op", op, "--json"]
    assert verify.main(arguments) == 0, capsys.readouterr().out[-500:]


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [["--shapes", "random", "--cases", "500"], []])
def test_all_ops_are_in_bounds(arguments, capsys):
    assert verify.main([*arguments, "--json"]) == 0, capsys.readouterr().out[-500:]
