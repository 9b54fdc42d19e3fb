"""A model with layers of signals, volumes, deformable and octave convolution is exported."""

import json
import sys

import numpy as np
import pytest
import tensorflow as tf

from hw2 import layers
from hw2.config import settings
from hw2.export import build
from hw2.jobs import train
from hw2.layers.pool import global_mean
from hw2.models import MODELS
from tests.training.tiny import FLAGS


class Folded(tf.Module):
    """Reads each image as a volume of two slices, and each row of that as a signal."""

    def __init__(self, rng):
        super().__init__()
        self.volume = layers.Conv3D(4, 4, 3, groups=2, relu=True, rng=rng)
        self.wider = layers.Conv3DTranspose(4, 2, (1, 2, 2), strides=(1, 2, 2), rng=rng)
        self.signal = layers.Conv1D(4, 4, 3, relu=True, rng=rng)
        self.longer = layers.Conv1DTranspose(4, 4, 3, rng=rng)

    def __call__(self, x, *, training=False, seed=None):
        n, (height, width) = tf.shape(x)[0], x.shape[1:3]
        x = self.wider(self.volume(tf.reshape(x, [n, 2, height // 2, width, 4])))
        x = self.longer(self.signal(tf.reshape(x, [n, 2 * height * width, 4])[:, :64]))
        return tf.reshape(x, [n, 16, 8, 4])


def beyond(image_shape, num_classes, *, seed, l2=0.0):
    rng = np.random.default_rng(seed)
    return layers.Sequential(
        {
            "octave": layers.OctaveStack(image_shape[2], [4, 4], [3, 3], rng=rng),
            "deform": layers.DeformConv(4, 4, offset_groups=2, rng=rng, relu=True),
            "folded": Folded(rng),
            "separable": layers.SeparableConv(4, 8, strides=2, rng=rng),
            "transpose": layers.ConvTranspose(8, 4, rng=rng),
            "mean": global_mean,
            "linear": layers.Dense(4, num_classes, rng=rng),
        }
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("beyond") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(MODELS, "beyond", beyond)
        patch.setattr(sys, "argv", ["train.py"])
        flags = ["--model=beyond", "--max_steps=4", f"--log_path={folder}"]
        train.train(settings.parse(["train.py", *FLAGS, *flags]))
        yield folder


@pytest.mark.parametrize(
    "form", [pytest.param("saved_model", marks=pytest.mark.slow), "litert", "onnx"]
)
def test_every_format_has_the_answers_of_prediction(run, tmp_path, capsys, form):
    pytest.importorskip({"onnx": "tf2onnx", "litert": "ai_edge_litert"}.get(form, "tensorflow"))
    output = f"--output={tmp_path / 'model'}"
    build.export(str(run), settings.parse(["export", f"--format={form}", output]))
    result = json.loads(capsys.readouterr().out)
    assert result["checked"] == 100
    assert result["same_top1"] == 1
    assert result["largest_difference"] <= 1e-4
