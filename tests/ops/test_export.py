"""SavedModel and LiteRT: saved, read back, and bit-equal or nearly so."""

import numpy as np
import oracle
import pytest
import tensorflow as tf
from every_op import CALLS
from shapes import FLOAT32, random

from hw2 import ops

every_op = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)


def with_constant_weights(call):
    """The op as a function of images alone, and some images."""
    x, *weights = (
        random(*shape, seed=k, dtype=np.float32)
        for k, shape in enumerate([call.image, *call.weights])
    )
    return lambda x: call.run(x, *weights), x


@pytest.mark.slow
def test_saved_model(tmp_path):
    """Read back, every op has its output, and its gradient."""
    module = tf.Module()
    for name, call in CALLS.items():
        run, _ = with_constant_weights(call)
        spec = tf.TensorSpec([None] * (len(call.image) - 1) + [call.image[-1]])
        setattr(module, name, tf.function(run, input_signature=[spec]))
    tf.saved_model.save(module, tmp_path)
    module = tf.saved_model.load(tmp_path)
    for name, call in CALLS.items():
        run, x = with_constant_weights(call)
        results = []
        for function in (getattr(module, name), run):
            with tf.GradientTape() as tape:
                tape.watch(x)
                y = function(x)
            results.append((y, tape.gradient(y, x, y)))
        for a, b in zip(*results, strict=True):
            assert oracle.error(a, b) < FLOAT32, name


@every_op
@pytest.mark.filterwarnings("ignore:.*tf.lite:UserWarning", "ignore:.*LiteRT:UserWarning")
def test_lite_has_builtins_for_all(call):
    """Converts without select ops, for any batch and size, and computes the same."""
    run, x = with_constant_weights(call)
    spec = tf.TensorSpec([None] * (len(call.image) - 1) + [call.image[-1]])
    with ops.algorithm("im2col"):  # the kernel in C++ is no builtin of LiteRT
        function = tf.function(run, input_signature=[spec]).get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], run)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    model = tf.lite.Interpreter(model_content=converter.convert())
    place = model.get_input_details()[0]["index"]
    model.resize_tensor_input(place, x.shape)
    model.allocate_tensors()
    model.set_tensor(place, x)
    model.invoke()
    y = model.get_tensor(model.get_output_details()[0]["index"])
    assert oracle.error(y, run(x)) < FLOAT32
