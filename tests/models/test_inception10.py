"""The network of ten layers: its table, any sizes, and that it learns."""

import pytest
import tensorflow as tf

from hw2.models import summary
from hw2.models.inception10 import inception10


def test_summary_is_the_table_of_the_report():
    model = inception10((100, 100, 3), 65, seed=0)
    rows = {row.layer: row for row in summary.summarize(model, (100, 100, 3))}
    outputs = {name: row.output for name, row in rows.items()}
    expected = {
        "conv_stack1/conv1": (100, 100, 64),
        "conv_stack1/conv2": (50, 50, 128),
        "pool1": (25, 25, 128),
        "inception2": (25, 25, 320),
        "pool2": (13, 13, 320),
        "dropout2": (13, 13, 320),
        "inception3": (13, 13, 192),
        "pool3": (7, 7, 192),
        "dropout3": (7, 7, 192),
        "flatten": (9408,),
        "dense1/dense": (256,),
        "softmax_linear": (65,),
    }
    assert expected.items() <= outputs.items()
    # 3*3*3 weights into each of 64 channels, a scale and an offset each; at 100x100 positions
    assert rows["conv_stack1/conv1"].parameters == 27 * 64 + 128
    assert rows["conv_stack1/conv1"].multiply_adds == 100 * 100 * 27 * 64
    # 1x1: 128 -> 64, 64, 64, 64; 3x3: 64 -> 96, 64 -> 96, 96 -> 96
    products = 128 * 256 + 9 * (64 * 96 * 2 + 96 * 96)
    assert rows["inception2"].multiply_adds == 25 * 25 * products
    assert rows["softmax_linear"].parameters == 257 * 65
    assert sum(row.parameters for row in rows.values()) == sum(
        v.shape.num_elements() for v in model.trainable_variables
    )


@pytest.mark.parametrize("shape", [(8, 8, 1), (17, 30, 4), (1, 1, 3)])
def test_any_image_size_and_channels(shape):
    model = inception10(shape, 7, seed=0)
    assert model(tf.zeros([2, *shape])).shape == (2, 7)
