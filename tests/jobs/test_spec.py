"""Which settings reach which model."""

import json

import numpy as np
import pytest

from hw2.config.settings import FIELDS, Config
from hw2.errors import RunError, UsageError
from hw2.input import source
from hw2.input.transforms import preprocess
from hw2.jobs import spec
from hw2.models import MODELS


@pytest.fixture(scope="module")
def examples():
    return source.read("digits", "train")


@pytest.fixture
def split(tmp_path):
    path = tmp_path / "split.csv"
    path.write_text("")
    return path


def test_every_model_is_built_with_the_defaults():
    for name in MODELS:
        spec.check_model(Config(model=name))


def test_every_option_is_a_setting_and_some_models():
    for option in spec.MODEL_OPTIONS:
        assert option in FIELDS
        assert any(option in spec._options_taken(name) for name in MODELS)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"model": "resnet"}, r"--model must be one of inception10, .*, got 'resnet'"),
        (
            {"model": "vgg16", "stem": "small"},
            r"--stem must go with googlenet, resnet18, .*, got 'small' for --model=vgg16",
        ),
        (
            {"model": "resnet18", "kernel_size": 3},
            "--kernel_size must go with simple_cnn, got 3 for --model=resnet18",
        ),
        (
            {"model": "resnet18", "pretrained": "imagenet"},
            "--pretrained=imagenet must go with resnet50, densenet121, inception_resnet_v2, "
            "squeezenet, efficientnet_lite0, got --model=resnet18; give a file of its weights",
        ),
        (
            {"model": "resnet18", "pretrained": "squeezenet"},
            "--pretrained=squeezenet must go with --model=squeezenet, got --model=resnet18",
        ),
        (
            {"model": "resnet50", "pretrained": "imagenet", "zero_gamma": True},
            "--pretrained weights must go with --stem=imagenet, --noresnet_d and --nozero_gamma",
        ),
    ],
)
def test_refuses_what_a_model_does_not_have(settings, words):
    with pytest.raises(UsageError, match=words):
        spec.check_model(Config(**settings))


def test_options_reach_the_model(examples, split):
    config = Config(model="simple_cnn", kernel_size=3, image_size=28)
    same = spec.make_spec(config, examples, split)
    assert same["model_options"] == {"kernel_size": 3}
    conv = spec.build_model(same).stages["conv1"]
    assert conv.w.shape == (3, 3, 1, 10)


def test_zero_gamma_and_stem_reach_the_model(examples, split):
    config = Config(model="resnet18", zero_gamma=True, stem="small", image_size=8)
    model = spec.build_model(spec.make_spec(config, examples, split))
    assert not np.any(model.stages["stage1"].stages["block1"].norm2.scale)
    assert model.stages["stem"].stages["conv1"].strides == 1


def test_a_file_of_weights_must_stay_what_it_was(examples, split, tmp_path):
    path = tmp_path / "base.h5"
    config = Config(model="inception_resnet_v2", pretrained=str(path), freeze=True)
    with pytest.raises(RunError, match=r"no weights in .*base\.h5 - no such file"):
        spec.make_spec(config, examples, split)
    path.write_bytes(b"one")
    same = spec.make_spec(config, examples, split)
    assert same["model_options"]["pretrained"] == str(path)
    path.write_bytes(b"other")
    with pytest.raises(RunError, match=r"other weights in .*base\.h5 - not the file that training"):
        spec.build_model(same, load_pretrained=False)


def test_a_checkpoint_spares_reading_weights_that_train(examples, split, tmp_path):
    path = tmp_path / "weights.h5"
    path.write_bytes(b"none at all")
    config = Config(model="densenet121", pretrained=str(path), image_size=32)
    same = spec.make_spec(config, examples, split)
    path.unlink()
    model = spec.build_model(same, load_pretrained=False)
    assert model.stages["norm"].epsilon == pytest.approx(1.001e-5)
    with pytest.raises(RunError, match="no weights in"):
        spec.build_model(same)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, {"standardize": "image", "channels": 1}),
        ({"channels": 3}, {"standardize": "image", "channels": 3}),
        (
            {"standardize": "given", "mean": "0.5", "deviation": "0.25"},
            {"standardize": "given", "channels": 1, "mean": [0.5], "deviation": [0.25]},
        ),
        (
            {"standardize": "imagenet", "channels": 3},
            {
                "standardize": "given",
                "channels": 3,
                "mean": [0.485, 0.456, 0.406],
                "deviation": [0.229, 0.224, 0.225],
            },
        ),
    ],
)
def test_standardization_and_channels_travel_with_the_model(examples, split, settings, expected):
    same = json.loads(json.dumps(spec.make_spec(Config(**settings), examples, split)))
    assert same == spec.make_spec(Config(**settings), examples, split)  # as a checkpoint keeps it
    found = same["preprocessing"]
    assert {name: found.get(name) for name in expected} == expected
    assert ("mean" in found) == ("mean" in expected)
    prepared = spec.preprocessing(same)
    assert prepared.mean == tuple(expected.get("mean", ()))
    assert spec.image_shape(same)[2] == expected["channels"]
    picture = preprocess.evaluation(examples.load(0, prepared.short_side), prepared).numpy()
    if "mean" in expected:
        levels = preprocess.central(examples.load(0, prepared.short_side), prepared).numpy() / 255
        wanted = (levels - expected["mean"]) / expected["deviation"]
        np.testing.assert_allclose(picture, wanted, atol=1e-5)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"standardize": "imagenet"}, "--mean must be 1 number or 1, .* got 3 of --standardize=i"),
        (
            {"standardize": "given", "mean": "0.5", "deviation": "1,1,1"},
            "--deviation must be 1 number or 1, one for each channel that the model sees, got 3 "
            "of --standardize=given; --channels=3 repeats grey pictures",
        ),
    ],
)
def test_statistics_must_fit_the_channels(settings, words):
    with pytest.raises(UsageError, match=words):
        spec.preprocessing_options(Config(**settings), 1)
