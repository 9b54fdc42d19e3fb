"""Every model by name: published counts, any size, and a step of training."""

import functools
import itertools
import json
import math

import numpy as np
import pytest
import tensorflow as tf

from hw2 import ops
from hw2.layers.conv import Conv
from hw2.layers.norm import BatchNorm
from hw2.layers.pool import MaxPool
from hw2.layers.sequential import Sequential
from hw2.models import MODELS, resnet, summary
from hw2.models.googlenet import MODULES
from hw2.models.summary import measure
from hw2.training import losses

HEAVY = {"vgg16", "inception_resnet_v2"}  # at 100 pixels: half a gigabyte of gradients, 20 s
# GoogLeNet has no batch norms; ours has them after two convolutions and after each module.
# The last convolutions of a module's towers, before one, have no biases.
BIASES = sum(sum(towers) for towers, _ in MODULES.values())
NORMS = 2 * (64 + 192 + BIASES)

# At 224 x 224 x 3 and 1,000 classes: torchvision's, timm's for seresnet and resnet50d, the paper's
# sizes for zfnet, Caffe's for googlenet, those of squeezenet1_1 and of timm's
# tf_efficientnet_lite0, Keras's without its last layer for inception_resnet_v2.
PUBLISHED = {
    "alexnet": 61_100_840,
    "zfnet": 62_357_608,
    "vgg16": 138_357_544,
    "googlenet": 6_998_552 + NORMS - BIASES,
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "se_resnet18": 11_778_592,
    "se_resnet34": 21_958_868,
    "se_resnet50": 28_088_024,
    "densenet121": 7_978_856,
    "squeezenet": 1_235_496,
    "efficientnet_lite0": 4_652_008,
    "inception_resnet_v2": 54_276_192 + 1537 * 128 + 129 * 1000,
}
# torchvision's, in thousands of millions, as printed; timm's 13.18 for inception_resnet_v2, which
# has another last layer and counts pools too.
GIGA_MULTIPLY_ADDS = {
    "alexnet": 0.71,
    "vgg16": 15.47,
    "resnet18": 1.81,
    "resnet34": 3.66,
    "resnet50": 4.09,
    "densenet121": 2.83,
    "squeezenet": 0.35,
    "inception_resnet_v2": 13.15,
}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] if name == "inception_resnet_v2" else [])
        for name in PUBLISHED
    ],
)
def test_sizes_are_the_published_ones(name):
    size = 299 if name == "inception_resnet_v2" else 224
    counts = measure(MODELS[name], (size, size, 3), 1000)
    assert counts["parameters"] == PUBLISHED[name]
    if name in GIGA_MULTIPLY_ADDS:
        assert f"{counts['multiply_adds'] / 1e9:.2f}" == f"{GIGA_MULTIPLY_ADDS[name]:.2f}"


@pytest.mark.parametrize(
    ("name", "options", "shape", "classes", "parameters"),
    [
        ("lenet5", {}, (32, 32, 1), 10, 61_706),
        ("simple_cnn", {}, (28, 28, 1), 10, 21_840),
        ("simple_cnn", {"kernel_size": 3}, (28, 28, 1), 10, 100 + 1820 + 501 * 50 + 510),
        ("waste_cnn", {}, (225, 225, 3), 2, 49_216 + 131_104 + 14_113 * 128 + 258),
        ("resnet50", {"resnet_d": True}, (224, 224, 3), 1000, 25_576_264),
        ("resnet9", {"width": 2}, (28, 28, 1), 10, 22 + 80 + 304 + 304 + 1184 + 4672 + 170),
        # The paper's DenseNet-BC of 100 layers for CIFAR-10, 0.8 million.
        ("densenet_fine", {"bottlenecks": 16, "stem": "small"}, (32, 32, 3), 10, 769_162),
    ],
)
def test_sizes_with_options(name, options, shape, classes, parameters):
    make = functools.partial(MODELS[name], **options)
    assert measure(make, shape, classes)["parameters"] == parameters


def test_layers_are_those_in_the_names():
    layers = measure(MODELS["vgg16"], (32, 32, 3), 10)["layers"]
    assert layers == 16
    assert measure(MODELS["resnet18"], (32, 32, 3), 10)["layers"] == 18 + 3  # projections
    assert measure(MODELS["resnet9"], (32, 32, 3), 10)["layers"] == 9


def test_sizes_without_weights_are_those_with_weights():
    model = MODELS["se_resnet18"]((20, 24, 3), 7, seed=0)
    rows = summary.summarize(model, (20, 24, 3))
    counts = measure(MODELS["se_resnet18"], (20, 24, 3), 7)
    assert counts["parameters"] == sum(math.prod(v.shape) for v in model.trainable_variables)
    assert counts["parameters"] == sum(row.parameters for row in rows)
    assert counts["multiply_adds"] == sum(row.multiply_adds for row in rows)
    assert rows[-1].output == model(tf.zeros([1, 20, 24, 3])).shape[1:]


def test_list_prints_all_that_is_asked(command, capsys):
    arguments = ["--num_classes=10", "--image_size=28", "--channels=1"]
    assert command("models", *arguments, "simple_cnn", "lenet5") == 0
    header, simple, lenet = capsys.readouterr().out.splitlines()
    assert header.split() == ["model", "parameters", "multiply-adds", "layers", "patches"]
    # 24*24*10*25 + 8*8*20*250 + 320*50 + 50*10; 4 bytes of (24*24*25 + 8*8*250)
    assert simple.split() == ["simple_cnn", "21,840", "480,500", "4", "0.1", "MB"]
    assert lenet.split()[0] == "lenet5"
    assert command("models", *arguments, "--model=simple_cnn", "--json") == 0
    assert json.loads(capsys.readouterr().out) == [
        {
            "model": "simple_cnn",
            "parameters": 21_840,
            "multiply_adds": 480_500,
            "layers": 4,
            "patch_bytes": 4 * (24 * 24 * 25 + 8 * 8 * 250),
        }
    ]


@pytest.mark.parametrize(("kernel", "strides"), [(3, 1), (5, 2), (1, 2), (1, 1)])
def test_patches_are_those_that_unfold_makes(kernel, strides):
    conv = Conv(4, 6, kernel, strides=strides, rng=np.random.default_rng(0))
    [row] = summary.summarize(Sequential({"conv": conv}), (9, 11, 4))
    patches = ops.unfold(tf.zeros([1, 9, 11, 4]), kernel, strides)
    assert row.patches == (0 if kernel == strides == 1 else math.prod(patches.shape))


def test_blocks_of_one_kind_may_stand_in_one_line():
    model = MODELS["densenet_fine"]((16, 16, 1), 5, seed=0, stem="small", bottlenecks=3)
    rows = summary.summarize(model, (16, 16, 1))
    lines = summary.tree(model, rows, whole=False)
    assert [name for depth, name, _ in lines if not depth][:3] == [
        "stem",
        "block1: 3 x DenseLayer",
        "transition1",
    ]
    assert not any(name == "layer1" for _, name, _ in lines)
    whole = summary.tree(model, rows)
    assert [name for depth, name, _ in whole if depth][:3] == ["layer1", "layer2", "layer3"]
    for tree in (lines, whole):
        assert sum(row.parameters for depth, _, row in tree if not depth) == sum(
            row.parameters for row in rows
        )


def test_list_refuses(command, capsys):
    assert command("models", "--image_size=0") == 1
    assert "--image_size must be at least 1, got 0" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "size"),
    [
        pytest.param(name, size, marks=[pytest.mark.slow] if name in HEAVY and size > 32 else [])
        for name, size in itertools.product(MODELS, (32, 100))
        if name != "inception_resnet_v2"  # tests/models/test_inception_resnet_v2.py
    ],
)
def test_every_model_takes_a_step_at_any_size(name, size):
    step(MODELS[name]((size, size, 3), 5, seed=0), size)


def step(model, size):
    rng = np.random.default_rng(0)
    images = rng.standard_normal((4, size, size, 3)).astype(np.float32)
    variables = model.trainable_variables
    with tf.GradientTape() as tape:
        logits = model(images, training=True, seed=tf.constant([1, 2]))
        loss = tf.reduce_mean(losses.cross_entropy(tf.constant([1, 3, 0, 1]), logits))
    gradients = tape.gradient(loss, variables)
    # Batch norm over four values of one pixel each makes gradients of the deep ones very long.
    norm = tf.linalg.global_norm(gradients)
    assert logits.shape == (4, 5)
    assert np.isfinite(logits).all()
    for variable, gradient in zip(variables, gradients, strict=True):
        assert gradient is not None, variable.name
        assert np.isfinite(gradient).all()
        variable.assign_sub(1e-3 * gradient / norm)
    assert np.isfinite(model(images)).all()


@pytest.mark.parametrize("name", ["simple_cnn", "lenet5", "googlenet", "densenet_fine", "resnet18"])
def test_weights_follow_the_seed(name):
    a, b, c = (MODELS[name]((16, 16, 3), 5, seed=seed).trainable_variables for seed in (1, 1, 2))
    for x, y in zip(a, b, strict=True):
        np.testing.assert_array_equal(x, y)
    for x, y in zip(a, c, strict=True):
        assert len(x.shape) == 1 or np.any(x.numpy() != y.numpy())


@pytest.mark.parametrize("shape", [(1, 1, 3), (7, 18, 1), (13, 5, 3)])
@pytest.mark.parametrize("name", ["simple_cnn", "waste_cnn", "lenet5", "googlenet", "resnet9"])
def test_small_and_oblong_pictures(name, shape):
    assert MODELS[name](shape, 5, seed=0)(tf.zeros([2, *shape])).shape == (2, 5)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        *itertools.product(["alexnet", "zfnet", "vgg16"], [(1, 1, 3), (9, 30, 1)]),
        ("densenet121", (1, 1, 3)),
    ],
)
def test_small_and_oblong_pictures_by_size_alone(name, shape):
    assert measure(MODELS[name], shape, 5)["parameters"] > 0


@pytest.mark.parametrize("name", ["googlenet", "densenet_fine"])
def test_small_stem_keeps_the_picture(name):
    sides = []
    for stem in ("imagenet", "small"):
        model = MODELS[name]((32, 32, 3), 5, seed=0, stem=stem)
        rows = summary.summarize(model, (32, 32, 3))
        sides.append(min(row.output[0] for row in rows if len(row.output) == 3))
    assert sides == ([1, 8] if name == "googlenet" else [2, 8])
    with pytest.raises(ValueError, match="stem must be imagenet or small, got 'tiny'"):
        MODELS[name]((32, 32, 3), 5, seed=0, stem="tiny")


@pytest.mark.parametrize("name", ["simple_cnn", "inception10", "densenet_fine", "se_resnet18"])
def test_biases_and_norms_are_the_variables_of_one_axis(name):
    """Which is how weight decay tells them from filters and matrices, and spares them."""
    model = MODELS[name]((16, 16, 3), 5, seed=0)
    spared = {id(m.b) for m in model.submodules if getattr(m, "b", None) is not None}
    for module in model.submodules:
        if isinstance(module, BatchNorm):
            spared |= {id(module.scale), id(module.offset)}
    for variable in model.trainable_variables:
        assert (len(variable.shape) == 1) == (id(variable) in spared)


def test_squeeze_excite_is_in_every_block():
    model = resnet.se_resnet18((16, 16, 3), 5, seed=0)
    blocks = [b for n in range(1, 5) for b in model.stages[f"stage{n}"].stages.values()]
    assert len(blocks) == 8
    assert all(block.squeeze_excite for block in blocks)


def test_googlenet_pools_as_in_its_table():
    stages = MODELS["googlenet"]((32, 32, 3), 5, seed=0).stages.values()
    pools = [(stage.kernel, stage.strides) for stage in stages if isinstance(stage, MaxPool)]
    assert pools == [(3, 2)] * 4


@pytest.mark.parametrize(
    ("name", "pool", "activation"),
    [
        ("simple_cnn", tf.nn.max_pool2d, lambda x: np.maximum(x, 0)),
        ("lenet5", tf.nn.avg_pool2d, np.tanh),
    ],
)
def test_plain_networks_by_their_definition(name, pool, activation):
    model = MODELS[name]((28, 28, 1), 10, seed=0)
    rng = np.random.default_rng(0)
    weights = {k: s for k, s in model.stages.items() if getattr(s, "b", None) is not None}
    for layer in weights.values():
        layer.b.assign(rng.standard_normal(layer.b.shape))
    x = rng.standard_normal((2, 28, 28, 1)).astype(np.float32)
    y = x
    for conv in (weights["conv1"], weights["conv2"]):
        y = pool(activation(tf.nn.conv2d(y, conv.w, 1, "VALID") + conv.b), 2, 2, "VALID").numpy()
    y = y.reshape(2, -1)
    for layer in list(weights.values())[2:-1]:
        y = activation(y @ layer.w.numpy() + layer.b.numpy())
    y = y @ weights["linear"].w.numpy() + weights["linear"].b.numpy()
    # A few hundred float32 products, summed in another order.
    np.testing.assert_allclose(model(x), y, atol=1e-5 * np.max(np.abs(y)))
