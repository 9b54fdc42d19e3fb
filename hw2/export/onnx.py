"""ONNX, by tf2onnx: one file for ONNX Runtime and other programs that read it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from hw2 import ops
from hw2.errors import UsageError
from hw2.export.classifier import Answer, Classifier

OPSET = 18  # tf2onnx 1.17 writes up to this one


def check() -> None:
    """Checks that the packages are installed, before anything takes time.

    Raises:
      UsageError: The converter is missing, or the runtime that verifies its result.
    """
    try:
        import onnxruntime  # noqa: F401
        import tf2onnx  # noqa: F401
    except ImportError as error:
        raise UsageError(
            f"--format=onnx must have tf2onnx and onnxruntime, got no {error.name}; "
            "pip install tf2onnx onnxruntime"
        ) from error


def write(classifier: Classifier, path: Path, about: Mapping[str, str]) -> None:
    """Writes a file that maps uint8 `[1, h, w, 3]` of any size to float32 `[1, classes]`.

    With distances there is a second output, float32 `[1]`.

    Args:
      classifier: What to write.
      path: The file.
      about: JSON by name, for the metadata of the file.
    """
    import onnx
    import tf2onnx

    function = classifier.portable()
    with ops.portable():
        model, _ = tf2onnx.convert.from_function(function, function.input_signature, opset=OPSET)
    onnx.helper.set_model_props(model, dict(about))
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())


def load(path: Path) -> Callable[[np.ndarray], Answer]:
    """Loads the file; the function returned maps pixels `[h, w, 3]` to what it answers."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    place = session.get_inputs()[0].name
    names = [output.name for output in session.get_outputs()]

    def classify(image: np.ndarray) -> Answer:
        rows = session.run(names, {place: image[None]})
        return Answer(**{name: row[0] for name, row in zip(names, rows, strict=True)})

    return classify
