"""Every value of every layer is the sum that is written out for it."""

import numpy as np
import pytest
import tensorflow as tf

from hw2 import ops
from hw2.layers.conv import Conv
from hw2.layers.depthwise import DepthwiseConv
from hw2.layers.pool import AvgPool, MaxPool
from hw2.layers.sequential import Sequential
from hw2.models import MODELS
from hw2.serve import sums
from hw2.serve.layer import CONVOLUTION
from hw2.serve.network import Network

# Of the largest value of a layer: float32 sums of up to some thousand products, see the walk of
# AlexNet, whose worst is 5e-7.
TOLERANCE = 3e-6


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


def worst(network, values, *, tries=2):
    """The largest difference between a value and its sum, over the layer's largest value."""
    rng = np.random.default_rng(0)
    found = 0.0
    for layer in network.layers:
        largest = float(np.abs(values.of(layer.output)).max())
        for _ in range(tries):
            place = [int(rng.integers(side)) for side in layer.size]
            told = sums.explain(network, values, layer, *place)
            found = max(found, abs(told["value"] - told["sum"]) / max(largest, 1e-6))
            listed = sum(term["sum"] for term in told["terms"] if "sum" in term)
            if "rest" in told:
                whole = listed + told["rest"]["sum"] + (told["bias"] or 0)
                assert whole == pytest.approx(told["sum"], abs=1e-6 * largest)
    return found


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("inception10", (28, 28, 1)),
        ("resnet18", (32, 32, 3)),
        ("squeezenet", (33, 33, 3)),
        ("efficientnet_lite0", (32, 32, 3)),
        pytest.param("se_resnet18", (24, 32, 3), marks=pytest.mark.slow),
        ("lenet5", (28, 28, 1)),
    ],
)
def test_values_of_models(name, shape):
    model = MODELS[name](shape, 10, seed=0)
    network = Network(model, shape)
    image = tf.constant(normal(1, *shape))
    values = network.values(image)
    assert worst(network, values) < TOLERANCE
    logits = model(image, training=False)[0]
    np.testing.assert_allclose(values.of(network.layers[-1].output), logits, atol=1e-4)
    convolutions = [layer for layer in network.layers if layer.kind == CONVOLUTION]
    assert len({layer.name for layer in convolutions}) == len(convolutions)


@pytest.mark.parametrize("padding", ["SAME", "VALID", ((2, 0), (1, 3))])
@pytest.mark.parametrize(("strides", "dilations"), [(1, 1), (2, 1), (1, 2), (3, 1)])
def test_windows_of_convolutions(padding, strides, dilations):
    rng = np.random.default_rng(1)
    options = {"strides": strides, "padding": padding, "dilations": dilations}
    layer = Conv(4, 6, (3, 2), rng=rng, groups=2, **options)
    layer.b.assign(normal(6, seed=2))
    image = tf.constant(normal(1, 9, 8, 4))
    network = Network(Sequential({"conv": layer}), (9, 8, 4))
    values = network.values(image)
    [_, found] = network.layers
    assert found.groups == 2
    expected = ops.conv2d(image, layer.w, strides, padding, dilations, bias=layer.b)[0].numpy()
    assert found.size == expected.shape
    for place in np.ndindex(expected.shape):
        told = sums.explain(network, values, found, *place)
        assert told["sum"] == pytest.approx(expected[place], abs=1e-5)
        first = told["terms"][0]["channel"]
        for i, row in enumerate(told["rows"]):
            for j, column in enumerate(told["columns"]):
                outside = row is None or column is None
                pixel = 0 if outside else image[0, row, column, first]
                assert told["terms"][0]["inputs"][i][j] == pytest.approx(float(pixel))


def test_depthwise_and_pools():
    rng = np.random.default_rng(3)
    stages = {
        "depthwise": DepthwiseConv(3, 5, strides=2, rng=rng),
        "largest": MaxPool(3, 2),
        "mean": AvgPool(2, 2, "SAME"),
    }
    network = Network(Sequential(stages), (17, 15, 3))
    values = network.values(tf.constant(normal(1, 17, 15, 3)))
    kinds = [layer.kind for layer in network.layers]
    assert kinds == ["picture", "depthwise convolution", "max pool", "average pool"]
    assert worst(network, values, tries=40) < TOLERANCE


def test_channels_of_a_split_lead_to_the_layer_that_made_them():
    network = Network(MODELS["inception10"]((16, 16, 1), 10, seed=0), (16, 16, 1))
    values = network.values(tf.constant(normal(1, 16, 16, 1)))
    joined = next(layer for layer in network.layers if layer.kind == "concatenation")
    for channel in (0, 63, 64, 160, 319):
        told = sums.explain(network, values, joined, 1, 2, channel)
        source = told["terms"][0]["from"]
        maker = network.layers[source["layer"]]
        y = values.of(maker.output)
        assert told["value"] == pytest.approx(float(y[1, 2, source["channel"]]))


def test_the_batch_norm_and_the_activation_that_follow():
    network = Network(MODELS["resnet18"]((32, 32, 3), 10, seed=0), (32, 32, 3))
    values = network.values(tf.constant(normal(1, 32, 32, 3)))
    told = sums.explain(network, values, network.layers[1], 3, 4, 5)
    assert [then["kind"] for then in told["then"]] == ["batch norm", "ReLU"]
    norm = told["then"][0]["norm"]
    assert told["value"] * norm["factor"] + norm["shift"] == pytest.approx(
        told["then"][0]["value"], rel=1e-5
    )


def test_numbers_that_are_not_finite_are_null():
    assert sums.number(float("nan")) is None
    assert sums.number(np.float32(0.1)) == 0.100000001
