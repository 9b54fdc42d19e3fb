"""A user's convolution and product: found, called, checked; each mistake is one line."""

import json
import sys

import numpy as np
import pytest
import tensorflow as tf

from hw2 import ops
from hw2.errors import UsageError
from hw2.ops import conv, own
from hw2.ops.geometry import Window
from hw2.ops.verify import __main__ as verify
from hw2.ops.verify import cases
from hw2.ops.verify.cases import Case
from tests.own_module import TEXT


@pytest.fixture(autouse=True)
def module(tmp_path, monkeypatch):
    """A module in the working folder, and one that is not Python."""
    (tmp_path / "mine.py").write_text(TEXT)
    (tmp_path / "broken.py").write_text("def conv2d(x:\n")
    (tmp_path / "needy.py").write_text("import there_is_no_such_module\n")
    monkeypatch.chdir(tmp_path)
    yield
    for name in ("mine", "broken", "needy"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize("groups", [1, 2])
def test_it_convolves_in_place_of_ours(groups):
    x = tf.random.stateless_normal([2, 7, 6, 4], [1, 2])
    w = tf.random.stateless_normal([3, 2, 4 // groups, 6], [3, 4])
    bias = tf.constant([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    options = (2, ((1, 0), (1, 1)), 1)
    ours = ops.conv2d(x, w, *options, bias=bias, relu=True, algorithm="im2col")
    with ops.algorithm("mine:conv2d"):
        theirs = ops.conv2d(x, w, *options, bias=bias, relu=True)
    np.testing.assert_allclose(theirs, ours, atol=1e-5)
    with ops.algorithm("mine:doubled"):
        np.testing.assert_allclose(ops.conv2d(x, w), 2 * ops.conv2d(x, w, algorithm="im2col"))


@pytest.mark.parametrize("groups", [1, 2])
def test_a_product_that_rounds_has_the_gradients_of_a_product(groups):
    x = tf.random.stateless_normal([2, 5, 6, 4], [1, 2])
    w = tf.random.stateless_normal([3, 3, 4 // groups, 2], [3, 4])

    def step():
        with tf.GradientTape() as tape:
            tape.watch([x, w])
            y = ops.conv2d(x, w)
        return [y, *tape.gradient(y, [x, w])]

    with ops.algorithm("im2col"):
        exact = step()
    with ops.algorithm("auto", product="mine:matmul"):
        assert conv.chosen(x, w, Window((3, 3))) == "im2col"
        rounded = step()
    assert np.all(rounded[0] * 64 == np.round(rounded[0] * 64))
    assert not np.array_equal(rounded[0], exact[0])
    for ours, theirs in zip(exact, rounded, strict=True):
        np.testing.assert_allclose(theirs, ours, atol=9 / 128)
    assert float(tf.reduce_max(abs(rounded[1]))) > 0  # though tf.round has a gradient of 0


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("absent:conv2d", "no module absent for the convolution absent:conv2d - it is neither in"),
        ("mine:absent", "no function absent in mine.py .* it has conv2d, matmul, .*; write mine:"),
        ("mine:TEXT", "no function TEXT in mine.py"),
        ("mine.py:conv2d", "got the path of a file; change to its folder and write mine:conv2d"),
        ("broken:conv2d", "cannot import broken .* SyntaxError: .* in line 1; correct the module"),
        ("needy:conv2d", "cannot import needy .* No module named 'there_is_no_such_module'"),
        ("mine:two_arguments", r"must take 5 arguments .*, got two_arguments\(x, w\)"),
    ],
)
def test_what_cannot_be_had_is_told_at_once(name, said):
    with pytest.raises(UsageError, match=said) as raised, ops.algorithm(name):
        pass
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "another_shape",
            r"must return the shape \[1, 5, 6, 4\], got \[1, 3, 6, 2\]; it was called",
        ),
        ("another_dtype", "must return float32, the dtype of x, got float64; cast it"),
        ("nothing", "must return a tensor, got NoneType"),
        (
            "raises",
            r"failed in mine.py:33 - ValueError: Dimensions .*; it was called with x \[1, 5",
        ),
        ("constant", "has no gradient by the images x - .*tf.custom_gradient"),
    ],
)
def test_mistakes_are_found_before_a_training(name, said):
    with pytest.raises(UsageError, match=said) as raised:
        conv.prepare(f"mine:{name}")
    assert "\n" not in str(raised.value)


def test_a_product_is_tried_too():
    conv.prepare("auto", "mine:matmul")
    with pytest.raises(UsageError, match=r"mine:two_arguments must return the shape \[4, 2\]"):
        conv.prepare("auto", "mine:two_arguments")


def test_verify_holds_it_against_the_definition(monkeypatch, command, capsys, tmp_path):
    few = list(cases.grid("conv2d", "float32"))[:3]
    monkeypatch.setattr(verify, "grid", lambda op, dtype: few)
    assert command("verify", "mine:conv2d") == 0
    assert "3 cases, 0 out of bounds" in capsys.readouterr().out
    assert command("verify", "mine:doubled", "--json", "--output=page.html") == 1
    found = json.loads(capsys.readouterr().out)
    assert found["out_of_bounds"] == 3
    assert [case["shape"] for case in found["cases"]] == [str(case) for case in few]
    assert "3 cases, 3 out of bounds" in (tmp_path / "page.html").read_text()
    assert command("verify", "mine:raises") == 1
    *_, line, last = capsys.readouterr().out.splitlines()
    assert "mine:raises failed in mine.py:33" in line
    assert last.startswith("3 cases, 3 out of bounds, 3 of them failed")
    assert command("verify", "--product=mine:matmul") == 1
    assert command("verify", "--product=mine:matmul", "--bound=0.01") == 0
    capsys.readouterr()
    assert command("verify", "mine:conv2d", "fold") == 1
    assert "mine:conv2d must be verified by itself" in capsys.readouterr().err
    assert command("verify", "absent:conv2d") == 1
    assert "error: no module absent" in capsys.readouterr().err


def test_a_function_without_gradients_is_no_pass():
    with ops.algorithm("mine:constant"), pytest.raises(UsageError, match="has no gradient by"):
        verify.measure(Case("conv2d", "float32", (1, 5, 5, 2), Window((3, 3)), filters=2))


def test_a_name_like_one_of_ours_takes_no_kernel():
    with ops.algorithm("mine:conv2d"):
        assert not conv.kernel_pays(tf.zeros([1, 4, 4, 1]))
    assert own.is_own("direct_mine:conv2d")
    assert not conv._takes_kernel("direct_mine:conv2d", "")
