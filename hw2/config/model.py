"""The settings of the model and of its convolution."""

import dataclasses

from hw2.config.choices import ALGORITHMS, PRECISIONS, STEMS, WEIGHTS
from hw2.config.fields import model_option, recorded, setting
from hw2.config.rules import (
    DECAY,
    LEFT_OR_NOT,
    NOT_EMPTY,
    OWN_PRODUCT,
    PATTERN,
    at_least,
    one_of,
    one_of_or_own,
)


@dataclasses.dataclass(frozen=True)
class Model:
    """The settings of the model and of its convolution."""

    model: str = setting("inception10", "name of the model", NOT_EMPTY, "Model")
    l2: float = setting(-1.0, "weight of the L2 penalty; -1: the model's own", LEFT_OR_NOT)
    stem: str = model_option("imagenet", "imagenet, or small for small images", one_of(*STEMS))
    resnet_d: bool = model_option(False, "ResNet-D: 3x3 stem, mean pooling in shortcuts")
    zero_gamma: bool = model_option(False, "residual blocks start as the identity")
    bottlenecks: int = model_option(8, "layers in each block of densenet_fine", at_least(1))
    kernel_size: int = model_option(5, "side of the kernels of simple_cnn", at_least(1))
    pretrained: str = model_option(
        "none", "trained weights: a name, or a file", NOT_EMPTY, path=WEIGHTS
    )
    freeze: str = model_option(
        "false", "pattern of names to freeze; true: not the head", PATTERN, switch=True
    )
    thaw_epoch: int = setting(0, "epochs until --freeze ends; 0: never", at_least(0))
    stochastic_depth: float = setting(0.0, "rate of the last residual block", DECAY)
    width: int = model_option(64, "channels of the first layer of resnet9", at_least(1))

    conv_algorithm: str = recorded(
        "auto", "auto, im2col, native or MODULE:FUNCTION", one_of_or_own(*ALGORITHMS)
    )
    product: str = recorded("", "MODULE:FUNCTION, your product in im2col", OWN_PRODUCT)
    recompute_patches: bool = recorded(False, "less memory in training, but more time")
    precision: str = recorded("float32", " or ".join(PRECISIONS), one_of(*PRECISIONS))
