"""Exports see the pixels of evaluation, however the picture is fitted: bit for bit."""

import io
import json

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from hw2.config import settings
from hw2.export import build, litert, picture, resize
from hw2.input import pipeline
from hw2.input.files import decode
from hw2.input.transforms.preprocess import Preprocessing
from hw2.jobs import train
from hw2.models import MODELS
from tests.training.tiny import FLAGS, tiny

SIDE, FILL = 20, 130
SHAPES = [(200, 21), (19, 170), (2, 3), (1, 1), (1, 60), (60, 1), (20, 20), (47, 46)]


def drawn(height, width):
    rng = np.random.default_rng(height * 1000 + width)
    return rng.integers(0, 256, [height, width, 3]).astype(np.uint8)


def expected(load, fit):
    """The square that evaluation crops from what it loads."""
    p = Preprocessing(SIDE, 3, SIDE, SIDE, False, 0, 1, 1, fill=FILL, fit=fit)
    image = load(pipeline.loaded_size(p))
    top, left = ((length - SIDE) // 2 for length in image.shape[:2])
    return image[top : top + SIDE, left : left + SIDE]


def square(fit):
    spec = tf.TensorSpec([1, None, None, 3], tf.uint8, name="picture")

    def call(picture):
        image = resize.square(picture[0], SIDE, fit=fit, fill=FILL)
        return {"probabilities": tf.cast(image, tf.float32)[None]}

    return tf.function(call, input_signature=[spec], autograph=False)


@pytest.mark.parametrize("fit", ["pad", "stretch"])
def test_every_runtime_sees_the_pixels_of_evaluation(fit, tmp_path):
    function = square(fit)
    converter = litert._converter(function.get_concrete_function(), tf.Module())
    with litert._quiet():
        (tmp_path / "m.tflite").write_bytes(converter.convert())
    lite = litert.load(tmp_path / "m.tflite")
    for shape in SHAPES:
        image = drawn(*shape)
        wanted = expected(lambda size, image=image: decode.resize(image, size), fit)
        found = function(tf.constant(image[None]))["probabilities"][0]
        np.testing.assert_array_equal(found, wanted, f"{fit} {shape}")
        np.testing.assert_array_equal(lite(image).probabilities, wanted, f"{fit} {shape} in LiteRT")


@pytest.mark.parametrize("fit", ["pad", "stretch"])
def test_onnx_sees_them_too(fit, tmp_path):
    tf2onnx = pytest.importorskip("tf2onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    model, _ = tf2onnx.convert.from_function(
        square(fit),
        input_signature=[tf.TensorSpec([1, None, None, 3], tf.uint8, name="picture")],
        opset=17,
    )
    session = onnxruntime.InferenceSession(model.SerializeToString())
    for shape in SHAPES:
        image = drawn(*shape)
        wanted = expected(lambda size, image=image: decode.resize(image, size), fit)
        [found] = session.run(None, {"picture": image[None]})
        np.testing.assert_array_equal(found[0], wanted, f"{fit} {shape}")


@pytest.mark.parametrize("fit", ["pad", "stretch"])
def test_large_jpegs_are_fitted_by_the_size_they_had(fit):
    @tf.function(input_signature=[tf.TensorSpec([], tf.string)], autograph=False)
    def call(content):
        image, whole = picture.decoded(content, SIDE, 2_000_000)
        return resize.square(image, SIDE, whole, fit=fit, fill=FILL)

    for number, (width, height) in enumerate([(90, 611), (640, 83), (333, 334), (401, 200)]):
        exif, file = Image.Exif(), io.BytesIO()
        exif[0x0112] = (1, 6, 3, 8)[number]
        Image.fromarray(drawn(30, 30)).resize((width, height)).save(file, "JPEG", exif=exif)
        content = file.getvalue()
        wanted = expected(lambda size, content=content: decode.picture_in(content, "a", size), fit)
        np.testing.assert_array_equal(call(content), wanted, f"{fit} {width}x{height}")


@pytest.mark.slow
@pytest.mark.parametrize("fit", ["pad", "stretch"])
def test_exports_of_a_run_agree_with_prediction(fit, tmp_path, monkeypatch, capsys):
    """On tall and wide pictures; the command itself refuses an export that does not agree."""
    pytest.importorskip("tf2onnx")
    monkeypatch.setitem(MODELS, "tiny", tiny)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("one", "two"):
        (tmp_path / "data" / name).mkdir(parents=True)
        for number in range(24):
            kind = ("png", "jpg", "webp")[number % 3]
            shape = [(12, 90), (90, 12), (1, 50), (300, 200)][number % 4]
            Image.fromarray(drawn(*shape) // (1 + (name == "one"))).save(
                tmp_path / "data" / name / f"{number}.{kind}"
            )
    words = [f"--train_data_path={tmp_path / 'data'}", f"--log_path={tmp_path / 'run'}"]
    words += [*FLAGS, f"--fit={fit}", "--fill=130", "--max_steps=4", "--seed=1", "--crop_size=8"]
    train.train(settings.parse(["train.py", *words]))
    for form in ("saved_model", "litert", "onnx"):
        capsys.readouterr()
        build.export(str(tmp_path / "run"), settings.parse(["export", f"--format={form}"]))
        found = json.loads(capsys.readouterr().out.splitlines()[-1])
        assert found["checked"] >= 8
        assert found["largest_difference"] <= 1e-4, form
