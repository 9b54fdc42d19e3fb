"""Every layer by its definition in NumPy, in training and out of it."""

import threading

import numpy as np
import pytest
import tensorflow as tf

from hw2 import layers, ops
from hw2.layers.dropout import dropout, spatial_dropout
from hw2.layers.initializers import he_normal, sizes_only
from hw2.layers.penalty import l2_penalty

FLOAT32 = 1e-5  # a few hundred float32 sums, each rounded to 6e-8


def close(a, b, bound=FLOAT32):
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    assert a.shape == b.shape
    assert np.max(np.abs(a - b)) <= bound * np.max(np.abs(b))


def images(rng, *shape):
    return rng.standard_normal(shape).astype(np.float32)


def test_he_normal_keeps_variance_through_relu(rng):
    w = he_normal((3, 3, 64, 128), rng)
    x = images(rng, 2000, 576)
    y = np.maximum(x, 0) * np.sqrt(2) @ w.reshape(576, 128)
    # Two of the three factors are random: 2000 * 128 values, and 73,728 weights.
    assert w.dtype == np.float32
    assert np.var(w) == pytest.approx(2 / 576, rel=0.02)
    assert np.mean(y**2) == pytest.approx(2, rel=0.05)


def test_conv_is_convolution_and_bias(rng):
    conv = layers.Conv(3, 4, 3, strides=2, rng=rng)
    conv.b.assign([1.0, 2.0, 3.0, 4.0])
    x = images(rng, 2, 7, 6, 3)
    close(conv(x), tf.nn.conv2d(x, conv.w, 2, "SAME") + conv.b)


@pytest.mark.fault(127)
def test_a_model_that_is_measured_in_one_thread_leaves_the_weights_of_another_alone(rng):
    made = []
    with sizes_only():
        thread = threading.Thread(target=lambda: made.append(he_normal((3, 3, 2, 2), rng)))
        thread.start()
        thread.join()
    assert np.all(made[0])


@pytest.mark.parametrize("relu", [False, True])
def test_conv_has_the_dilations_groups_and_relu_of_its_op(rng, relu):
    conv = layers.Conv(4, 6, 3, dilations=2, groups=2, relu=relu, rng=rng)
    conv.b.assign([1.0, -2.0, 3.0, -4.0, 5.0, -6.0])
    x = images(rng, 2, 9, 8, 4)
    assert conv.w.shape == (3, 3, 2, 6)
    halves = [
        tf.nn.conv2d(x[..., :2], conv.w[..., :3], 1, "SAME", dilations=2),
        tf.nn.conv2d(x[..., 2:], conv.w[..., 3:], 1, "SAME", dilations=2),
    ]
    expected = tf.concat(halves, 3) + conv.b
    assert np.min(expected) < 0
    close(conv(x), np.maximum(expected, 0) if relu else expected)


@pytest.mark.parametrize(("channels", "groups"), [((4, 6), 3), ((6, 4), 3), ((4, 4), 0)])
def test_conv_refuses_groups_that_do_not_divide_its_channels(rng, channels, groups):
    with pytest.raises(ValueError, match=f"groups must divide .* evenly, got {groups}, "):
        layers.Conv(*channels, groups=groups, rng=rng)


def test_conv_stack_is_conv_norm_relu_twice(rng):
    stack = layers.conv_stack(
        3, [4, 5], [3, 1], strides=[1, 2], paddings=["VALID", "SAME"], rng=rng
    )
    x = images(rng, 8, 9, 9, 3)
    y = x
    for block, stride, padding in zip(
        stack.stages.values(), (1, 2), ("VALID", "SAME"), strict=True
    ):
        y = tf.nn.conv2d(y, block.conv.w, stride, padding).numpy()
        y = (y - y.mean((0, 1, 2))) / np.sqrt(y.var((0, 1, 2)) + 1e-3)
        y = np.maximum(y, 0)
    close(stack(x, training=True), y)
    assert y.shape == (8, 4, 4, 5)


def test_conv_stack_refuses_lists_of_different_lengths(rng):
    with pytest.raises(ValueError, match="must be equally many, got 2, 1, 2 and 2"):
        layers.conv_stack(3, [4, 5], [3], strides=[1, 1], rng=rng)


@pytest.mark.parametrize("shape", [(16, 5), (4, 3, 2, 5), (8, 3, 5), (2, 3, 4, 2, 5)])
def test_batch_norm_in_training_and_after(rng, shape):
    norm = layers.BatchNorm(5)
    norm.scale.assign([1.0, 2.0, 3.0, 4.0, 5.0])
    norm.offset.assign([5.0, 4.0, 3.0, 2.0, 1.0])
    x = 3 + 2 * images(rng, *shape)
    axes = tuple(range(len(shape) - 1))
    count = np.prod(shape[:-1])
    mean, var = x.mean(axes, np.float64), x.var(axes, np.float64)
    close(norm(x, training=True), (x - mean) / np.sqrt(var + 1e-3) * norm.scale + norm.offset)
    close(norm.mean, 0.1 * mean)
    close(norm.variance, 0.9 + 0.1 * var * count / (count - 1))
    moved = (x - norm.mean.numpy()) / np.sqrt(norm.variance.numpy() + 1e-3)
    close(norm(x), moved * norm.scale + norm.offset)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("dtype", [tf.float32, tf.bfloat16])
@pytest.mark.parametrize("side", [3, 64])
def test_batch_norm_with_relu_is_relu_of_batch_norm(rng, side, dtype, training):
    x = tf.cast(rng.standard_normal((8, side, side, 9)) * 3 + 1, dtype)
    dy = tf.cast(rng.standard_normal(x.shape), dtype)

    @tf.function
    def both(x, dy):
        results = []
        for relu in (True, False):
            norm = norms[relu]
            with tf.GradientTape(persistent=True) as outer:
                outer.watch(x)
                with tf.GradientTape() as inner:
                    inner.watch(x)
                    y = norm(x, training=training)
                    y = y if relu else tf.nn.relu(y)
                gradients = inner.gradient(y, [x, norm.scale, norm.offset], dy)
            curvature = outer.gradient(gradients[0], [x, dy]) if dtype == tf.float32 else []
            results.append([y, *gradients, *curvature[:1], norm.mean, norm.variance])
        return results

    norms = {}
    for relu in (True, False):
        norms[relu] = layers.BatchNorm(9, relu=relu)
        norms[relu].scale.assign([-1, 2, 0.5, 1, 1, 1, 3, 1, 1])
        norms[relu].offset.assign([0.3, -0.2, 0, 0, 1, -1, 0, 0, 0])
    ours, apart = both(x, dy)
    for a, b in zip(ours, apart, strict=True):
        a, b = (tf.cast(value, tf.float32).numpy() for value in (a, b))
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-6 * abs(b).max())


def far_from_zero(rng, shape):
    """Means of a thousand and a million deviations, and constant channels."""
    x = rng.standard_normal(shape).astype(np.float32)
    return x * [1, 1, 0, 0] + np.array([1e3, 1e6, 7, -0.3], np.float32)


@pytest.mark.fault(116)
@pytest.mark.fault(130)
@pytest.mark.parametrize("algorithm", ["auto", "tensorflow_ops", "native"])
@pytest.mark.parametrize("dtype", [tf.float32, tf.bfloat16])
@pytest.mark.parametrize("side", [3, 128])  # from 2**18 values on a gradient may be compiled
def test_relu_after_batch_norm_lets_pass_the_gradient_of_what_it_let_pass(
    rng, algorithm, dtype, side
):
    x = tf.cast(far_from_zero(rng, (4, side, side, 4)), dtype)
    dy = tf.cast(rng.standard_normal(x.shape), dtype)

    def run(relu, dy):
        norm = layers.BatchNorm(4, relu=relu)
        norm.offset.assign([0.1, -0.1, 0, 1e-6])

        @tf.function(autograph=False)
        def traced(x, dy):
            with tf.GradientTape() as tape:
                tape.watch(x)
                y = norm(x, training=True)
            return [y, *tape.gradient(y, [x, norm.scale, norm.offset], dy)]

        return [tf.cast(value, tf.float32).numpy() for value in traced(x, dy)]

    with ops.algorithm(algorithm):
        y, *ours = run(True, dy)
        _, *apart = run(False, tf.where(y > 0, dy, 0))
    for a, b in zip(ours, apart, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-6 * abs(b).max())


@pytest.mark.fault(130)
def test_a_constant_channel_at_zero_has_no_gradient_of_its_offset():
    norm = layers.BatchNorm(4, relu=True)

    @tf.function(autograph=False)
    def by_offset(x):
        with tf.GradientTape() as tape:
            y = norm(x, training=True)
        return tape.gradient(y, norm.offset)

    levels = tf.constant([0.3125, 7.0, -3.5, 5.25])  # whose sums are exact, and so their mean
    x = tf.ones([4, 128, 128, 1]) * levels
    assert not np.any(layers.BatchNorm(4)(x, training=True))
    np.testing.assert_array_equal(by_offset(x), np.zeros(4))


@pytest.mark.fault(116)
def test_relu_after_synchronized_batch_norm_has_the_sign_of_its_result(rng, two_devices):
    with two_devices.scope():
        norm = layers.BatchNorm(4, relu=True)
        norm.synchronized = True

    def step(x):
        with tf.GradientTape() as tape:
            y = norm(x, training=True)
        return y, tape.gradient(y, norm.offset)

    x = tf.constant(far_from_zero(rng, (4, 128, 128, 4)), tf.float32)
    with ops.algorithm("tensorflow_ops"):
        run = tf.function(lambda x: two_devices.run(step, (x,)), autograph=False)
        y, by_offset = (two_devices.experimental_local_results(v)[0] for v in run(x))
    np.testing.assert_array_equal(by_offset, np.sum(y.numpy() > 0, (0, 1, 2)))


@pytest.mark.parametrize(
    ("algorithm", "signs"), [("auto", "Hw2BatchNormGrad"), ("tensorflow_ops", "SelectV2")]
)
def test_what_finds_the_signs_of_relu_after_batch_norm(rng, algorithm, signs):
    norm = layers.BatchNorm(4, relu=True)

    def run(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = norm(x, training=True)
        return tape.gradient(y, x)

    with ops.algorithm(algorithm):
        traced = tf.function(run, autograph=False)
        graph = traced.get_concrete_function(tf.TensorSpec([4, 8, 8, 4], tf.float32)).graph
    types = {op.type for op in graph.get_operations()}
    assert types & {"Hw2BatchNormGrad", "SelectV2", "ReluGrad"} == {signs}


def test_synchronized_batch_norm_on_two_devices_is_the_whole_batch(rng, two_devices):
    x = 1 + images(rng, 8, 3, 3, 5) * np.arange(1, 9, dtype=np.float32)[:, None, None, None]
    dy = images(rng, 8, 3, 3, 5)

    def run(strategy):
        with strategy.scope():
            norm = layers.BatchNorm(5)
            norm.synchronized = True

        def step(x, dy):
            with tf.GradientTape() as tape:
                tape.watch(x)
                y = norm(x, training=True)
            return y, *tape.gradient(y, [x, norm.scale, norm.offset], dy)

        data = tf.data.Dataset.from_tensors((x, dy)).unbatch().batch(8)
        [batch] = strategy.experimental_distribute_dataset(data)
        together = tf.function(lambda batch: strategy.run(step, batch))
        y, dx, dscale, doffset = together(batch)
        joined = [tf.concat(strategy.experimental_local_results(v), 0) for v in (y, dx)]
        summed = [strategy.reduce("SUM", v, axis=None) for v in (dscale, doffset)]
        return [*joined, *summed, norm.mean, norm.variance]

    one = run(tf.distribute.get_strategy())
    for ours, whole in zip(run(two_devices), one, strict=True):
        close(ours, whole, 2e-6)  # two float32 sums of 72 values in another order


def test_unsynchronized_batch_norm_keeps_moving_statistics_equal(two_devices):
    strategy = two_devices
    with strategy.scope():
        norm = layers.BatchNorm(2)
    x = np.stack([np.zeros((2, 2)), np.full((2, 2), 10)]).astype(np.float32)
    data = tf.data.Dataset.from_tensor_slices(x).unbatch().batch(4)
    [batch] = strategy.experimental_distribute_dataset(data)
    strategy.run(tf.function(lambda x: norm(x, training=True)), (batch,))
    means = strategy.experimental_local_results(norm.mean)
    for mean in means:
        close(mean, [0.5, 0.5])  # a tenth of 0 and of 10, averaged


@pytest.mark.parametrize("path", ["_compiled", "_shared"])
def test_batch_norm_counts_more_values_than_an_int32_can(path):
    """In a graph that is not run: the images would take 16 GB."""
    norm = layers.BatchNorm(1)
    images = tf.TensorSpec([4, 2**15, 2**15, 1])
    graph = tf.function(getattr(norm, path)).get_concrete_function(images).graph
    counts = [op for op in graph.get_operations() if op.type == "Const"]
    assert 2**32 in [tf.get_static_value(op.outputs[0]).tolist() for op in counts]


def test_dropout_drops_its_share_and_keeps_the_mean():
    x = tf.ones([100, 100])
    y = dropout(x, rate=0.25, seed=[1, 2]).numpy()
    assert set(np.unique(y)) == {0, np.float32(1 / 0.75)}
    assert np.mean(y == 0) == pytest.approx(0.25, abs=0.02)  # 4.6 deviations
    np.testing.assert_array_equal(y, dropout(x, rate=0.25, seed=[1, 2]))
    assert np.any(y != dropout(x, rate=0.25, seed=[1, 3]).numpy())


def test_spatial_dropout_drops_whole_channels():
    y = spatial_dropout(tf.ones([50, 4, 3, 20]), rate=0.5, seed=[1, 2]).numpy()
    assert np.all(y == y[:, :1, :1, :])
    assert np.mean(y[:, 0, 0] == 0) == pytest.approx(0.5, abs=0.08)  # 5 deviations


def test_dropout_drops_the_same_on_two_devices_as_on_one(two_devices):
    strategy = two_devices
    data = tf.data.Dataset.from_tensor_slices(tf.ones([8, 6])).batch(8)
    [batch] = strategy.experimental_distribute_dataset(data)
    parts = strategy.run(lambda x: dropout(x, rate=0.5, seed=[3, 4]), (batch,))
    whole = dropout(tf.ones([8, 6]), rate=0.5, seed=[3, 4])
    np.testing.assert_array_equal(tf.concat(parts.values, 0), whole)


@pytest.mark.parametrize("layer", [layers.Dropout, layers.SpatialDropout])
def test_dropout_layers_do_nothing_outside_training(rng, layer):
    x = images(rng, 2, 3, 3, 4)
    np.testing.assert_array_equal(layer(0.5)(x), x)
    with pytest.raises(ValueError, match="must have a seed, got None"):
        layer(0.5)(tf.constant(x), training=True)
    with pytest.raises(ValueError, match=r"rate must be in \[0, 1\), got 1"):
        layer(1)


def chain(x, convs):
    """A tower by TensorFlow's own convolution."""
    for i, conv in enumerate(convs):
        x = tf.nn.conv2d(tf.nn.relu(x) if i else x, conv.w, 1, "SAME")
        x = x if conv.b is None else x + conv.b
    return x


@pytest.mark.parametrize(
    ("module", "kernels"), [(layers.InceptionV1, [1, 5]), (layers.InceptionV2, [1, 3, 3])]
)
def test_inception_is_four_towers(rng, module, kernels):
    block = module(6, (2, 3, 4, 5), (7, 8), rng=rng)
    assert [conv.w.shape[0] for conv in block.five] == kernels
    assert all(conv.b is None for conv in (block.one, block.three[-1], block.five[-1], block.pool))
    for conv in (*block.three[:-1], *block.five[:-1]):
        conv.b.assign(rng.standard_normal(conv.b.shape))
    x = images(rng, 4, 5, 5, 6)
    towers = [
        chain(x, [block.one]),
        chain(x, block.three),
        chain(x, block.five),
        chain(tf.nn.max_pool2d(x, 3, 1, "SAME"), [block.pool]),
    ]
    y = tf.concat(towers, 3).numpy()
    y = np.maximum((y - y.mean((0, 1, 2))) / np.sqrt(y.var((0, 1, 2)) + 1e-3), 0)
    close(block(x, training=True), y)
    assert y.shape == (4, 5, 5, 14)


def test_dense_stack_is_dense_norm_relu_dropout(rng):
    stack = layers.dense_stack(6, 5, rng=rng, keep=1.0)
    x = images(rng, 16, 6)
    y = x @ stack.stages["dense"].w.numpy()
    y = np.maximum((y - y.mean(0)) / np.sqrt(y.var(0) + 1e-3), 0)
    close(stack(x, training=True), y)


def test_l2_penalty_counts_only_layers_that_ask(rng):
    model = layers.Sequential(
        {
            "plain": layers.Dense(2, 2, rng=rng),
            "conv": layers.Conv(1, 1, 1, l2=0.5, rng=rng),
            "dense": layers.Dense(1, 2, l2=0.1, rng=rng),
        }
    )
    model.stages["conv"].w.assign([[[[2.0]]]])
    model.stages["dense"].w.assign([[3.0, 4.0]])
    assert float(l2_penalty(model)) == pytest.approx(0.5 * 4 / 2 + 0.1 * 25 / 2)
    assert float(l2_penalty(layers.Sequential({}))) == 0


def test_sequential_gives_each_stage_its_own_seed():
    seeds = []

    def spy(x, *, training, seed):
        seeds.append((training, tuple(seed.numpy())))
        return x

    layers.Sequential({"a": spy, "b": spy})(tf.zeros([1]), training=True, seed=tf.constant([1, 2]))
    assert [training for training, _ in seeds] == [True, True]
    assert seeds[0][1] != seeds[1][1]


def test_max_pool_rounds_up():
    x = tf.reshape(tf.range(25.0), [1, 5, 5, 1])
    y = layers.MaxPool()(x)
    np.testing.assert_array_equal(y[0, :, :, 0], [[6, 8, 9], [16, 18, 19], [21, 23, 24]])


@pytest.mark.parametrize("inception", [layers.InceptionV1, layers.InceptionV2])
def test_layers_keep_to_the_precision_of_their_images(rng, inception):
    stages = {
        "conv": layers.conv_stack(3, [8], [3], rng=rng),
        "inception": inception(8, (2, 3, 4, 5), (7, 8), rng=rng),
        "pool": layers.MaxPool(),
        "drop": layers.SpatialDropout(0.25),
    }
    model = layers.Sequential(stages)
    x = tf.constant(images(rng, 8, 6, 6, 3))
    with tf.GradientTape(persistent=True) as tape:
        low = model(tf.cast(x, tf.bfloat16), training=True, seed=tf.constant([1, 2]))
        high = model(x, training=True, seed=tf.constant([1, 2]))
    assert low.dtype == tf.bfloat16
    assert np.abs(tf.cast(low, tf.float32) - high).max() < 0.05 * np.abs(high).max()
    for y in (low, high):
        gradients = tape.gradient(y, model.trainable_variables)
        assert {g.dtype for g in gradients} == {tf.float32}


def test_branches_share_one_product(rng):
    block = layers.InceptionV2(6, (2, 3, 4, 5), (7, 8), rng=rng)
    with ops.algorithm("im2col"):
        run = tf.function(block, autograph=False)
        graph = run.get_concrete_function(tf.TensorSpec([4, 5, 5, 6]))
    products = [op for op in graph.graph.get_operations() if op.type == "MatMul"]
    assert [op.outputs[0].shape[1] for op in products if op.inputs[0].shape[1] == 6] == [17, 5]


@pytest.mark.parametrize("padding", [((1, 1), (1, 1)), ((2, 0), (0, 1)), "SAME"])
def test_max_pool_is_the_same_in_training_and_after(padding):
    x = tf.random.stateless_normal([2, 11, 14, 3], [1, 2]) - 5  # below zero, the padding of others
    pool = layers.MaxPool(3, 2, padding)
    np.testing.assert_array_equal(pool(x, training=True), pool(x))


def test_padding_that_a_window_could_be_full_of_is_refused():
    words = r"padding must be less than the kernel's 2 on each side, got \(\(0, 2\), \(0, 0\)\)"
    with pytest.raises(ValueError, match=words):
        layers.MaxPool(2, 2, ((0, 2), (0, 0)))
