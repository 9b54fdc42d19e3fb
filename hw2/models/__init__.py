"""Networks by name."""

from hw2.models.inception10 import inception10

MODELS = {"inception10": inception10}
