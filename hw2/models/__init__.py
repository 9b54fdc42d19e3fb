"""Networks by name."""

from hw2.models import resnet
from hw2.models.inception10 import inception10

MODELS = {
    "inception10": inception10,
    "resnet18": resnet.resnet18,
    "resnet34": resnet.resnet34,
    "resnet50": resnet.resnet50,
    "se_resnet18": resnet.se_resnet18,
    "se_resnet34": resnet.se_resnet34,
    "se_resnet50": resnet.se_resnet50,
}
