"""Sizes and padding of windows, as integers and as tensors."""

import oracle
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from hw2.ops import geometry

small = st.integers(1, 12)
paddings = st.sampled_from(["SAME", "VALID"]) | st.tuples(st.integers(0, 6), st.integers(0, 6))


def test_a_window_of_three_over_five_pixels():
    axis = geometry.axis(5, taps=3, stride=2, dilation=1, padding="SAME")
    # pads: 0 [0 1 2 3 4] 0, windows start at -1, 1, 3; three strides and one more are covered.
    assert (axis.out, axis.before, axis.used, axis.after, axis.blocks) == (3, 1, 5, 2, 4)
    assert [axis.place(tap) for tap in range(3)] == [(0, 0), (0, 1), (1, 0)]


def test_same_puts_the_odd_zero_behind():
    axis = geometry.axis(4, taps=4, stride=1, dilation=1, padding="SAME")
    assert (axis.before, axis.after) == (1, 2)


@given(size=st.integers(0, 20), taps=small, stride=small, dilation=small, padding=paddings)
def test_taps_read_the_pixels_of_the_definition(size, taps, stride, dilation, padding):
    starts = oracle._starts(size, taps, stride, dilation, padding)
    try:
        axis = geometry.axis(size, taps, stride, dilation, padding)
    except ValueError:
        assert not starts
        return
    assert axis.out == len(starts)
    assert axis.before + axis.used + axis.after == axis.blocks * stride
    for i, start in enumerate(starts):
        for tap in range(taps):
            block, phase = axis.place(tap)
            assert (i + block) * stride + phase - axis.before == start + tap * dilation or (
                # a window that never reads all the zeros in front is shifted, all zeros alike
                axis.used == 0
            )


@given(size=st.integers(0, 20), taps=small, stride=small, dilation=small, padding=paddings)
def test_sizes_known_at_run_time_agree_with_integers(size, taps, stride, dilation, padding):
    try:
        expected = geometry.axis(size, taps, stride, dilation, padding)
    except ValueError:
        return
    at_run_time = geometry.axis(tf.constant(size), taps, stride, dilation, padding)
    assert [int(v) for v in at_run_time] == [int(v) for v in expected]


@pytest.mark.parametrize(
    ("value", "data_format", "expected"),
    [
        (3, "NHWC", (3, 3)),
        ([3], "NHWC", (3, 3)),
        ((2, 3), "NHWC", (2, 3)),
        ([1, 2, 3, 1], "NHWC", (2, 3)),
        ([1, 1, 2, 3], "NCHW", (2, 3)),
        (tf.TensorShape([2, 3]), "NHWC", (2, 3)),
    ],
)
def test_pairs_are_read_in_tensorflows_forms(value, data_format, expected):
    assert geometry.window(1, strides=value, data_format=data_format).strides == expected


@pytest.mark.parametrize(
    "value", [0, (0, 1), (1, 2, 3), [2, 1, 1, 1], [1, 1, 1, 2], "NHWC", (1.5, 2), [[1, 2]]]
)
def test_other_pairs_are_refused(value):
    with pytest.raises(ValueError, match=r"strides must be an int, a pair or a list of four"):
        geometry.window(1, strides=value)


@pytest.mark.parametrize(
    ("value", "data_format", "expected"),
    [
        ("same", "NHWC", "SAME"),
        ("VALID", "NCHW", "VALID"),
        ([[1, 2], [3, 4]], "NHWC", ((1, 2), (3, 4))),
        ([[0, 0], [1, 2], [3, 4], [0, 0]], "NHWC", ((1, 2), (3, 4))),
        ([[0, 0], [0, 0], [1, 2], [3, 4]], "NCHW", ((1, 2), (3, 4))),
    ],
)
def test_paddings_are_read_in_tensorflows_forms(value, data_format, expected):
    assert geometry.window(1, padding=value, data_format=data_format).padding == expected


@pytest.mark.parametrize(
    "value", ["FULL", [[1, 2]], [[1, 2], [3, -4]], [[1, 1], [1, 2], [3, 4], [0, 0]], [[1], [2]]]
)
def test_other_paddings_are_refused(value):
    with pytest.raises(ValueError, match=r'padding must be "SAME", "VALID" or pairs of zeros'):
        geometry.window(1, padding=value)


def test_a_window_that_does_not_fit_is_refused():
    words = r"must fit into the padded image, got a window of 5 pixels over 2 \+ 0 \+ 1\."
    with pytest.raises(ValueError, match=words):
        geometry.axis(2, taps=5, stride=1, dilation=1, padding=(0, 1))
