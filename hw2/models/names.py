"""The table of all networks, by name."""

from collections.abc import Callable
from typing import Any

from hw2.models.alexnet import alexnet, zfnet
from hw2.models.densenet import densenet121, densenet_fine
from hw2.models.efficientnet_lite import efficientnet_lite0
from hw2.models.googlenet import googlenet
from hw2.models.inception10 import inception10
from hw2.models.inception_resnet_v2 import inception_resnet_v2
from hw2.models.lenet import lenet5
from hw2.models.resnet import resnet18, resnet34, resnet50, se_resnet18, se_resnet34, se_resnet50
from hw2.models.resnet9 import resnet9
from hw2.models.simple_cnn import simple_cnn
from hw2.models.squeezenet import squeezenet
from hw2.models.vgg import vgg16
from hw2.models.waste_cnn import waste_cnn

MODELS: dict[str, Callable[..., Any]] = {
    "inception10": inception10,
    "simple_cnn": simple_cnn,
    "waste_cnn": waste_cnn,
    "lenet5": lenet5,
    "alexnet": alexnet,
    "zfnet": zfnet,
    "vgg16": vgg16,
    "googlenet": googlenet,
    "resnet9": resnet9,
    "resnet18": resnet18,
    "resnet34": resnet34,
    "resnet50": resnet50,
    "se_resnet18": se_resnet18,
    "se_resnet34": se_resnet34,
    "se_resnet50": se_resnet50,
    "densenet121": densenet121,
    "densenet_fine": densenet_fine,
    "squeezenet": squeezenet,
    "efficientnet_lite0": efficientnet_lite0,
    "inception_resnet_v2": inception_resnet_v2,
}
