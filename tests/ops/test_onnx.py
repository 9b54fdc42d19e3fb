"""The ONNX project's own node tests of convolution, its transpose, pools and patches.

ONNX keeps channels first and pads by [top, left, bottom, right]; filters are [O, C, kH, kW].
https://onnx.ai/onnx/operators/
"""

import importlib
import math

import numpy as np
import oracle
import pytest

from hw2 import ops
from hw2.ops.geometry import Window
from hw2.ops.patches_nd import fold_axes

onnx = pytest.importorskip("onnx", reason="a dev dependency")

FLOAT32 = 1e-5  # the expected values of some tests are written with six digits
FOUR_DIGITS = 5e-4  # or four, and near 0.15

CONV = [
    "test_basic_conv_with_padding",
    "test_basic_conv_without_padding",
    "test_conv_with_autopad_same",
    "test_conv_with_strides_and_asymmetric_padding",
    "test_conv_with_strides_no_padding",
    "test_conv_with_strides_padding",
]
CONV_TRANSPOSE = [
    "test_convtranspose",
    "test_convtranspose_1d",
    "test_convtranspose_3d",
    "test_convtranspose_autopad_same",
    "test_convtranspose_dilations",
    "test_convtranspose_group_2",
    "test_convtranspose_group_2_image_3",
    "test_convtranspose_kernel_shape",
    "test_convtranspose_output_shape",
    "test_convtranspose_pad",
    "test_convtranspose_pads",
]
AVERAGE_POOL = [
    "test_averagepool_1d_default",
    "test_averagepool_2d_ceil",
    "test_averagepool_2d_ceil_last_window_starts_on_pad",
    "test_averagepool_2d_default",
    "test_averagepool_2d_dilations",
    "test_averagepool_2d_pads",
    "test_averagepool_2d_pads_count_include_pad",
    "test_averagepool_2d_precomputed_pads",
    "test_averagepool_2d_precomputed_pads_count_include_pad",
    "test_averagepool_2d_precomputed_same_upper",
    "test_averagepool_2d_precomputed_strides",
    "test_averagepool_2d_same_lower",
    "test_averagepool_2d_same_upper",
    "test_averagepool_2d_strides",
]
MAX_POOL = [
    "test_maxpool_1d_default",
    "test_maxpool_2d_ceil",
    "test_maxpool_2d_ceil_output_size_reduce_by_one",
    "test_maxpool_2d_default",
    "test_maxpool_2d_dilations",
    "test_maxpool_2d_pads",
    "test_maxpool_2d_precomputed_pads",
    "test_maxpool_2d_precomputed_same_upper",
    "test_maxpool_2d_precomputed_strides",
    "test_maxpool_2d_same_lower",
    "test_maxpool_2d_same_upper",
    "test_maxpool_2d_strides",
    "test_maxpool_2d_uint8",
    "test_maxpool_with_argmax_2d_precomputed_pads",  # its values; we return no indices
    "test_maxpool_with_argmax_2d_precomputed_strides",
]
COL2IM = [
    "test_col2im",
    "test_col2im_5d",
    "test_col2im_dilations",
    "test_col2im_pads",
    "test_col2im_strides",
]
DEFORM = [
    "test_basic_deform_conv_with_padding",
    "test_basic_deform_conv_without_padding",
    "test_deform_conv_with_mask_bias",
    "test_deform_conv_with_multiple_offset_groups",
]


@pytest.fixture(scope="module")
def nodes():
    """Name to (attributes, inputs, first output) of ONNX's node tests for the six ops."""
    from onnx.backend.test.case import node

    # collect_testcases would run the export of all 1,900 tests; these six modules are enough.
    for module in ("conv", "convtranspose", "averagepool", "maxpool", "col2im", "deformconv"):
        importlib.import_module(f"onnx.backend.test.case.node.{module}")
    cases = {}
    for case in node._NodeTestCases:
        attributes = {
            a.name: onnx.helper.get_attribute_value(a) for a in case.model.graph.node[0].attribute
        }
        inputs, outputs = case.data_sets[0]
        cases[case.name] = attributes, inputs, outputs[0]
    return cases


@pytest.mark.parametrize("name", CONV)
def test_conv(nodes, name):
    attributes, (x, w), expected = nodes[name]
    strides, dilations = options(attributes)
    padding = pads(attributes, x.shape[2:], w.shape[2:])
    y = ops.conv2d(x, filters(w), strides, padding, dilations, data_format="NCHW")
    assert oracle.error(y, expected) < FLOAT32


@pytest.mark.parametrize("name", CONV_TRANSPOSE)
def test_conv_transpose(nodes, name):
    attributes, (x, w), expected = nodes[name]
    axes = w.ndim - 2
    op, data_format = {
        1: (ops.conv1d_transpose, "NCW"),
        2: (ops.conv2d_transpose, "NCHW"),
        3: (ops.conv3d_transpose, "NCDHW"),
    }[axes]
    strides, dilations = (attributes.get(k, [1] * axes) for k in ("strides", "dilations"))
    extra = attributes.get("output_padding", [0] * axes)
    spans = [(k - 1) * d + 1 for k, d in zip(w.shape[2:], dilations, strict=True)]
    full = [(x.shape[2 + k] - 1) * strides[k] + extra[k] + spans[k] for k in range(axes)]
    if "output_shape" in attributes:  # what the window overhangs is cut off; nothing is, here
        size, padding = attributes["output_shape"], "VALID"
    elif "auto_pad" in attributes:
        size, padding = [x.shape[2 + k] * strides[k] for k in range(axes)], "SAME"
    else:
        padding = of_sides(attributes.get("pads", [0] * 2 * axes))
        size = [
            whole - before - after for whole, (before, after) in zip(full, padding, strict=True)
        ]
    shape = [len(x), attributes.get("group", 1) * w.shape[1], *size]
    w = np.moveaxis(w, (0, 1), (-1, -2))
    y = op(x, w, shape, strides, padding, dilations, data_format=data_format)
    assert oracle.error(y, expected) < FLOAT32


@pytest.mark.parametrize("name", DEFORM)
def test_deform_conv(nodes, name):
    attributes, (x, w, offsets, *rest), expected = nodes[name]
    bias, mask = (*rest, None, None)[:2]
    padding = of_sides(attributes["pads"])
    options = {"padding": padding, "data_format": "NCHW", "bias": bias}
    y = ops.deform_conv2d(x, filters(w), offsets, mask, **options)
    assert oracle.error(y, expected) < FLOAT32


@pytest.mark.parametrize("name", AVERAGE_POOL)
def test_average_pool(nodes, name):
    attributes, (x,), expected = nodes[name]
    bound = FOUR_DIGITS if name.endswith("starts_on_pad") else FLOAT32
    assert oracle.error(pool(ops.avg_pool2d, of_two(x), attributes), of_two(expected)) < bound


@pytest.mark.parametrize("name", MAX_POOL)
def test_max_pool(nodes, name):
    attributes, (x,), expected = nodes[name]
    assert oracle.error(pool(ops.max_pool2d, of_two(x), attributes), of_two(expected)) == 0


@pytest.mark.parametrize("name", COL2IM)
def test_col2im(nodes, name):
    attributes, (patches, image_size, kernel), expected = nodes[name]
    axes = len(kernel)
    strides, dilations = (tuple(attributes.get(k, [1] * axes)) for k in ("strides", "dilations"))
    padding = of_sides(attributes.get("pads", [0] * 2 * axes))
    window = Window(tuple(map(int, kernel)), strides, padding, dilations)
    sizes = [int(size) for size in image_size]
    taps = int(np.prod(kernel))
    n, c = len(patches), patches.shape[1] // taps
    positions = [axis.out for axis in window.axes(*sizes)]
    patches = patches.reshape(n, c, taps, *positions)
    patches = np.moveaxis(patches, (2, 1), (-2, -1)).reshape(n, *positions, taps * c)
    image = fold_axes(patches, sizes, window)
    assert oracle.error(np.moveaxis(image, -1, 1), expected) < FLOAT32
    if axes == 2:
        folded = ops.fold(patches, sizes, *window)
        assert (folded == image).numpy().all()


def pool(op, x, attributes):
    kernel = of_two_numbers(attributes["kernel_shape"])
    strides, dilations = options(attributes)
    padding = pads(attributes, x.shape[2:], kernel)
    extra = [(0, 0), (0, 0)]
    if attributes.get("ceil_mode"):
        axes = zip(x.shape[2:], padding, kernel, strides, dilations, strict=True)
        extra = [(0, overhang(*of_axis)) for of_axis in axes]
    if attributes.get("count_include_pad"):
        x = np.pad(x, [(0, 0), (0, 0), *padding])
        padding = [(0, 0), (0, 0)]
    padding = [(a + c, b + d) for (a, b), (c, d) in zip(padding, extra, strict=True)]
    return op(x, kernel, strides, padding, dilations, data_format="NCHW")


def overhang(size, padding, taps, stride, dilation):
    """Pixels behind the padded image that ceil_mode reads."""
    before, after = padding
    span = (taps - 1) * dilation + 1
    out = math.ceil((before + size + after - span) / stride) + 1
    if (out - 1) * stride >= before + size:  # a window may not begin behind the image
        out -= 1
    return max((out - 1) * stride + span - before - size - after, 0)


def options(attributes):
    return [of_two_numbers(attributes.get(name, [1, 1])) for name in ("strides", "dilations")]


def pads(attributes, size, kernel):
    """ONNX's padding as pairs; SAME_LOWER has the odd zero in front."""
    if "auto_pad" in attributes:
        strides, _ = options(attributes)
        totals = [
            max((-(-s // stride) - 1) * stride + k - s, 0)
            for s, k, stride in zip(size, kernel, strides, strict=True)
        ]
        small = [(total // 2, total - total // 2) for total in totals]
        return small if attributes["auto_pad"] == b"SAME_UPPER" else [p[::-1] for p in small]
    return list(of_sides(attributes.get("pads", [0, 0, 0, 0])))


def of_sides(pads):
    """All beginnings and then all ends, as a pair for each axis."""
    return tuple((int(a), int(b)) for a, b in np.reshape(pads, [2, -1]).T)


def filters(w):
    return w.transpose(2, 3, 1, 0)


def of_two(x):
    """Signals as images of one row."""
    return x[:, :, None] if x.ndim == 3 else x


def of_two_numbers(values):
    return [1, *values] if len(values) == 1 else values
