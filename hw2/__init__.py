"""Image classification on hand-written convolution, in low-level TensorFlow 2."""

__version__ = "0.1.0"
