"""conv2d and conv1d: worked example, definition, TensorFlow, gradients, graphs, refusals."""

import threading

import numpy as np
import oracle
import pytest
import shapes
import tensorflow as tf
from hypothesis import example, given, settings
from hypothesis import strategies as st
from shapes import FLOAT32, FLOAT64, random

from hw2 import ops
from hw2.ops import conv

# The algorithms that do every shape and have all derivatives.
every_shape = pytest.mark.parametrize("algorithm", ["im2col", "extract_patches", "direct"])


def run(x, w, **options):
    """Output, gradients by x and by w, and the dy they belong to."""
    y, (dx, dw), dy = shapes.gradients(lambda x, w: ops.conv2d(x, w, **options), x, w)
    return y, dx, dw, dy


def test_a_worked_example():
    x = tf.constant([[1.0, 2, 3], [4, 5, 6], [7, 8, 9]])[None, :, :, None]
    w = tf.constant([[1.0, 0], [0, -1]])[:, :, None, None]  # a pixel less its diagonal neighbour
    y = ops.conv2d(x, w, padding="VALID")
    assert y[0, ..., 0].numpy().tolist() == [[-4, -4], [-4, -4]]
    y = ops.conv2d(x, w)  # SAME: zeros below and on the right
    assert y[0, ..., 0].numpy().tolist() == [[-4, -4, 3], [-4, -4, 6], [7, 8, 9]]


@every_shape
@settings(deadline=None, max_examples=40)
@given(case=shapes.windows(), groups=st.integers(1, 3), filters=st.integers(0, 3))
@example(case=shapes.LOPSIDED, groups=2, filters=1)
def test_definition_and_adjoint(algorithm, case, groups, filters):
    image, kernel, window = case
    x = random(*image[:3], image[3] * groups)
    w = random(*kernel, image[3], filters * groups, seed=1)
    y, dx, dw, dy = run(x, w, **window, algorithm=algorithm)
    assert oracle.error(y, oracle.conv2d(x.numpy(), w.numpy(), **window)) < FLOAT64
    expected = oracle.conv2d_gradients(x.numpy(), w.numpy(), dy.numpy(), **window)
    assert oracle.error(dx, expected[0]) < FLOAT64
    assert oracle.error(dw, expected[1]) < FLOAT64
    shapes.check_adjoint(y, dy, (x, w), (dx, dw))


@pytest.mark.parametrize("data_format", ["NHWC", "NCHW"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"strides": 2, "padding": "VALID"},
        {"strides": [1, 2, 3, 1], "padding": ((0, 0), (1, 2), (0, 3), (0, 0))},
        {"dilations": (2, 3)},
    ],
)
def test_it_takes_the_place_of_tf_nn(data_format, options):
    """TensorFlow on a CPU has NHWC only, so the other format is held against its transpose."""
    x, w = random(2, 9, 10, 3, dtype=np.float32), random(3, 2, 3, 4, dtype=np.float32)
    expected = tf.nn.conv2d(x, w, **{"strides": 1, "padding": "SAME", **options})
    if data_format == "NCHW":
        x = tf.transpose(x, [0, 3, 1, 2])
        expected = tf.transpose(expected, [0, 3, 1, 2])
        for name, order in (("strides", [0, 3, 1, 2]), ("padding", [0, 3, 1, 2])):
            if isinstance(options.get(name), list | tuple):
                options = {**options, name: [options[name][k] for k in order]}
    y = ops.conv2d(x, w, **options, data_format=data_format)
    assert oracle.error(y, expected) < FLOAT32


@pytest.mark.parametrize("algorithm", ["im2col", "extract_patches", "direct", "native"])
def test_algorithms_agree(algorithm):
    # no groups: TensorFlow on a CPU has no gradients for them
    x, w = random(2, 8, 7, 4), random(3, 3, 4, 6, seed=1)
    options = {"strides": (2, 1), "padding": ((1, 0), (0, 2))}
    y, dx, dw, dy = run(x, w, **options, algorithm=algorithm)
    options["dilations"] = (1, 1)
    assert oracle.error(y, oracle.conv2d(x.numpy(), w.numpy(), **options)) < FLOAT64
    expected = oracle.conv2d_gradients(x.numpy(), w.numpy(), dy.numpy(), **options)
    assert oracle.error(dx, expected[0]) < FLOAT64
    assert oracle.error(dw, expected[1]) < FLOAT64


def test_a_context_sets_the_default_algorithm(convolutions):
    x, w = tf.zeros([1, 4, 4, 1]), tf.zeros([3, 3, 1, 1])
    with ops.algorithm("native"):
        ops.conv2d(x, w)
        with ops.algorithm("im2col"):
            ops.conv2d(x, w)
        ops.conv2d(x, w)
        ops.conv2d(x, w, algorithm="im2col")
    ops.conv2d(x, w)
    assert convolutions == ["native", "im2col", "native", "im2col", "direct"]


@every_shape
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_low_precision_is_summed_in_float32(dtype, algorithm):
    """At most the rounding of the result: half a unit in the last place, 2^-11 or 2^-8."""
    bound = {"float16": 2**-11, "bfloat16": 2**-8}[dtype] + FLOAT32
    dtype = tf.as_dtype(dtype).as_numpy_dtype
    x, w = random(2, 9, 8, 64, dtype=dtype), random(3, 3, 64, 8, seed=1, dtype=dtype)
    y, dx, dw, dy = run(x, w, algorithm=algorithm)
    assert y.dtype == dx.dtype == dw.dtype == dtype
    x, w, dy = (v.numpy().astype(np.float64) for v in (x, w, dy))
    assert oracle.error(y, oracle.conv2d(x, w)) < bound
    expected = oracle.conv2d_gradients(x, w, dy)
    # rounded as patches, then as their sums
    twice = 2 if dtype == "bfloat16" and algorithm != "direct" else 1
    assert oracle.error(dx, expected[0]) < twice * bound
    assert oracle.error(dw, expected[1]) < bound


@pytest.mark.parametrize("shape", [[None, None, None, 4], [2, None, 8, 4]])
@pytest.mark.parametrize("window", [((1, 1), "SAME"), ((2, 3), ((0, 1), (2, 0)))])
@every_shape
def test_graphs_with_unknown_sizes(shape, window, algorithm):
    strides, padding = window
    w = random(3, 2, 2, 6, seed=1)

    @tf.function(input_signature=[tf.TensorSpec(shape, tf.float64)])
    def graph(x):
        with tf.GradientTape() as tape:
            tape.watch([x, w])
            y = ops.conv2d(x, w, strides, padding, algorithm=algorithm)
        assert y.shape[3] == 6
        return y, *tape.gradient(y, [x, w], y)

    x = random(2, 9, 8, 4)
    options = {"strides": strides, "padding": padding}
    y = oracle.conv2d(x.numpy(), w.numpy(), **options)
    expected = y, *oracle.conv2d_gradients(x.numpy(), w.numpy(), y, **options)
    for a, b in zip(graph(x), expected, strict=True):
        assert oracle.error(a, b) < FLOAT64


@every_shape
def test_an_empty_batch_keeps_its_shape(algorithm):
    """tf.nn.conv2d 2.21 on a CPU returns the channels of its input here, `[0, 5, 5, 2]`."""
    y, dx, dw, _ = run(random(0, 5, 5, 2), random(3, 3, 2, 4), algorithm=algorithm)
    assert y.shape == [0, 5, 5, 4]
    assert dx.shape == [0, 5, 5, 2]
    assert not tf.reduce_any(dw != 0)


@pytest.mark.parametrize("data_format", ["NWC", "NCW"])
@pytest.mark.parametrize(
    "options", [{}, {"stride": 2, "padding": "VALID"}, {"dilations": 2}, {"stride": [2]}]
)
def test_conv1d_takes_the_place_of_tf_nn(data_format, options):
    x, w = random(2, 9, 3, dtype=np.float32), random(4, 3, 5, dtype=np.float32)
    expected = tf.nn.conv1d(x, w, **{"stride": 1, "padding": "SAME", **options})
    if data_format == "NCW":
        x, expected = (tf.transpose(v, [0, 2, 1]) for v in (x, expected))
    y = ops.conv1d(x, w, **options, data_format=data_format)
    assert oracle.error(y, expected) < FLOAT32


def test_conv1d_pads_left_and_right_and_reads_lists():
    x = tf.reshape(tf.range(1.0, 6.0), [1, 5, 1])
    w = tf.reshape([1.0, 10.0], [2, 1, 1])
    assert ops.conv1d(x, w, padding=(1, 0))[0, :, 0].numpy().tolist() == [10, 21, 32, 43, 54]
    assert ops.conv1d(x, w, [1, 2, 1])[0, :, 0].numpy().tolist() == [21, 43, 5]
    y = ops.conv1d(tf.transpose(x, [0, 2, 1]), w, [1, 1, 2], data_format="NCW")
    assert y[0, 0].numpy().tolist() == [21, 43, 5]


X, W = tf.zeros([1, 4, 4, 4]), tf.zeros([3, 3, 4, 2])


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: ops.conv2d(X[0], W), r"x must be \[N, H, W, C\], got shape \(4, 4, 4\)"),
        (lambda: ops.conv2d(X, W[0]), r"w must be \[kH, kW, C, O\] with known sizes, got shape"),
        (
            lambda: ops.conv2d(X, tf.cast(W, tf.float64)),
            r"x and w must have the same dtype, got float32 and float64",
        ),
        (
            lambda: ops.conv2d(X[..., :3], W),
            r"channels of x must be those of w, or a multiple of them, got 3 and 4",
        ),
        (
            lambda: ops.conv2d(X, tf.zeros([3, 3, 2, 5])),
            r"2 groups of channels must share the filters evenly, got 5",
        ),
        (lambda: ops.conv2d(X, W, "SAME"), r"strides must be an int, a pair"),
        (lambda: ops.conv2d(X, W, padding="CAUSAL"), r"padding must be .* got 'CAUSAL'"),
        (
            lambda: ops.conv2d(X, tf.zeros([6, 6, 4, 2]), padding="VALID"),
            r"window must fit into the padded image, got a window of 6 pixels over 4 \+ 0 \+ 0",
        ),
        (
            lambda: ops.conv2d(X, W, data_format="CHWN"),
            r"data_format must be NHWC or NCHW, got 'CHWN'",
        ),
        (
            lambda: ops.conv2d(X, W, algorithm="fft"),
            r"algorithm must be one of auto, fastest, tensorflow_ops, im2col, .*native, got 'fft'",
        ),
        (lambda: ops.algorithm("fft").__enter__(), r"algorithm must be one of auto"),
        (lambda: ops.conv1d(X, W[0]), r"x must be \[N, W, C\], got shape"),
        (lambda: ops.conv1d(X[0], W), r"w must be \[kW, C, O\] with known sizes"),
        (lambda: ops.conv1d(X[0], W[0], data_format="NHWC"), r"data_format must be NWC or NCW"),
    ],
)
def test_refusals(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_channels_must_be_known():
    @tf.function(input_signature=[tf.TensorSpec([None, 4, 4, None])])
    def graph(x):
        return ops.conv2d(x, W)

    with pytest.raises(ValueError, match=r"x must have a known number of channels"):
        graph(X)


SHAPES = {
    "im2col": ((2, 9, 8, 6), (3, 3, 6, 4), 2),
    "im2col of few channels": ((2, 9, 8, 3), (3, 3, 3, 4), 1),
    "im2col of groups": ((2, 9, 8, 6), (3, 3, 3, 4), 1),
    "pointwise": ((2, 5, 6, 6), (1, 1, 6, 4), 1),
    "winograd": ((2, 9, 8, 6), (3, 3, 6, 4), 1),
    "extract_patches": ((2, 9, 8, 6), (3, 3, 6, 4), 2),
    "extract_patches of groups": ((2, 9, 8, 6), (3, 3, 3, 4), 1),
    "direct": ((2, 9, 8, 6), (3, 3, 6, 4), 2),
    "direct of groups": ((2, 9, 8, 6), (3, 3, 3, 4), 1),
    **{f"direct_winograd{tile}": ((2, 9, 8, 6), (3, 3, 6, 4), 1) for tile in (2, 3, 4, 5)},
    "native": ((2, 9, 8, 6), (3, 3, 6, 4), 2),
}


def outcome(x, w, b, **options):
    """Output and gradients in a graph, by a random `dy`."""

    @tf.function(autograph=False)
    def run(x, w, b):
        with tf.GradientTape() as tape:
            tape.watch([x, w, b])
            y = ops.conv2d(x, w, bias=b, **options)
        dy = tf.random.stateless_normal(tf.shape(y), [5, 6])
        return y, *tape.gradient(y, [x, w, b], tf.cast(dy, y.dtype))

    return run(x, w, b)


@pytest.mark.parametrize("case", SHAPES)
@pytest.mark.parametrize("relu", [False, True])
def test_bias_and_relu_follow_every_algorithm(case, relu):
    shape, filters, strides = SHAPES[case]
    options = {"strides": strides, "algorithm": case.split()[0]}
    x, w, b = (tf.cast(random(*s, seed=i), tf.float32) for i, s in enumerate((shape, filters, [4])))

    @tf.function(autograph=False)
    def apart(x, w, b):
        with tf.GradientTape() as tape:
            tape.watch([x, w, b])
            y = ops.conv2d(x, w, **options) + b
            y = tf.maximum(y, 0) if relu else y
        dy = tf.random.stateless_normal(tf.shape(y), [5, 6])
        return y, *tape.gradient(y, [x, w, b], dy)

    for ours, expected in zip(outcome(x, w, b, relu=relu, **options), apart(x, w, b), strict=True):
        assert oracle.error(ours, expected) < 4 * FLOAT32
    with pytest.raises(ValueError, match=r"bias must be \[4\], one for each filter, got \(3,\)"):
        ops.conv2d(x, w, bias=tf.zeros([3]))


@pytest.mark.parametrize("case", SHAPES)
def test_patches_computed_again_give_the_same_gradients(case):
    shape, filters, strides = SHAPES[case]
    options = {"strides": strides, "algorithm": case.split()[0]}
    x, w, b = (tf.cast(random(*s, seed=i), tf.float32) for i, s in enumerate((shape, filters, [4])))
    kept = outcome(x, w, b, relu=True, **options)
    with ops.algorithm("auto", recompute=True):
        again = outcome(x, w, b, relu=True, **options)
    for one, other in zip(again, kept, strict=True):
        assert oracle.error(one, other) < FLOAT32


def second_derivatives(x, w, b, algorithm):
    """Of a smooth function of a convolution: by images, filters and bias, of the first ones."""

    @tf.function(autograph=False)
    def run(x, w, b):
        with tf.GradientTape() as outer:
            outer.watch([x, w, b])
            with tf.GradientTape() as inner:
                inner.watch([x, w, b])
                y = tf.reduce_sum(ops.conv2d(x, w, bias=b, algorithm=algorithm) ** 3)
            first = inner.gradient(y, [x, w, b])
            total = tf.add_n([tf.reduce_sum(g**2) for g in first])
        return outer.gradient(total, [x, w, b])

    return run(x, w, b)


@pytest.mark.fault(129)
@pytest.mark.parametrize("algorithm", ["im2col", "extract_patches", "winograd", "pointwise"])
def test_patches_computed_again_have_second_derivatives(algorithm):
    kernel = 1 if algorithm == "pointwise" else 3
    shapes = (2, 6, 6, 3), (kernel, kernel, 3, 4), (4,)
    inputs = [tf.cast(random(*s, seed=i), tf.float32) for i, s in enumerate(shapes)]
    kept = second_derivatives(*inputs, algorithm)
    with ops.algorithm("auto", recompute=True):
        again = second_derivatives(*inputs, algorithm)
    for one, other in zip(again, kept, strict=True):
        assert oracle.error(one, other) < 4 * FLOAT32


@pytest.mark.fault(129)
def test_patches_computed_again_have_third_derivatives_outside_of_graphs():
    x = tf.cast(random(1, 4, 4, 2, seed=0), tf.float64)
    w = tf.cast(random(3, 3, 2, 1, seed=1), tf.float64)

    def of(function, order):
        if order == 0:
            return function
        lower = of(function, order - 1)

        def derivative(x):
            with tf.GradientTape() as tape:
                tape.watch(x)
                y = tf.reduce_sum(lower(x) ** 2) if order > 1 else lower(x)
            return tape.gradient(y, x)

        return derivative

    cubed = of(lambda x: tf.reduce_sum(ops.conv2d(x, w, algorithm="im2col") ** 4), 3)
    kept = cubed(x)
    with ops.algorithm("auto", recompute=True):
        assert oracle.error(cubed(x), kept) < 1e-12


class Blocks(threading.Thread):
    """A thread that enters `with ops.algorithm(...)` and leaves it when it is told to."""

    def __init__(self, name):
        super().__init__(daemon=True)
        self.name_of_algorithm = name
        self.inside, self.leave, self.seen = threading.Event(), threading.Event(), []

    def run(self):
        with ops.algorithm(self.name_of_algorithm):
            self.inside.set()
            assert self.leave.wait(30)
            self.seen.append(conv.default())
        self.seen.append(conv.default())

    def enter(self):
        self.start()
        assert self.inside.wait(30)
        return self

    def finish(self):
        self.leave.set()
        self.join(30)
        return self.seen


@pytest.mark.fault(127)
@pytest.mark.parametrize("first_out", [0, 1])
def test_blocks_of_two_threads_leave_nothing_behind(first_out):
    threads = [Blocks("native").enter(), Blocks("im2col").enter()]
    seen = [threads[first_out].finish(), threads[1 - first_out].finish()]
    names = [("native", "im2col")[k] for k in (first_out, 1 - first_out)]
    # out of its block, the first thread has the default of the other, which is still in one
    assert seen == [names, [names[1], "auto"]]
    assert conv.default() == "auto"


@pytest.mark.fault(127)
def test_a_block_of_another_thread_changes_no_default_within_ones_own():
    with ops.algorithm("im2col"):
        other = Blocks("native").enter()
        assert conv.default() == "im2col"
        with ops.algorithm("winograd"):
            assert conv.default() == "winograd"
        assert conv.default() == "im2col"
        assert other.finish() == ["native", "im2col"]
    assert conv.default() == "auto"


@pytest.mark.fault(127)
def test_blocks_that_are_left_in_another_order_leave_nothing_behind():
    first, second = ops.algorithm("native"), ops.algorithm("im2col", recompute=True)
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert conv.default() == "im2col"
    second.__exit__(None, None, None)
    assert conv.default() == "auto"


@pytest.mark.fault(127)
def test_threads_of_replicas_have_the_block_of_the_thread_that_started_them(two_devices):
    seen = []

    def step():
        seen.append(conv.default())

    with ops.algorithm("native"), ops.algorithm("im2col"):
        two_devices.run(step)
    assert seen == ["im2col", "im2col"]
