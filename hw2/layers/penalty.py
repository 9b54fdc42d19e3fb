"""The L2 penalty on the weights of layers."""

import tensorflow as tf


def l2_penalty(model: tf.Module) -> tf.Tensor:
    """Sums l2 * sum(w**2) / 2 over all layers with a nonzero `l2`; a float32 scalar."""
    terms = [
        module.l2 * tf.nn.l2_loss(module.w)
        for module in model.submodules
        if getattr(module, "l2", 0)
    ]
    return tf.add_n(terms) if terms else tf.zeros([])
