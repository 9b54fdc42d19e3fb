"""The L2 penalty that layers ask for."""

import tensorflow as tf


def l2_penalty(model: tf.Module) -> tf.Tensor:
    """Sum over the layers with an `l2` of l2 * sum(w**2) / 2, a float32 scalar."""
    terms = [
        module.l2 * tf.nn.l2_loss(module.w)
        for module in model.submodules
        if getattr(module, "l2", 0)
    ]
    return tf.add_n(terms) if terms else tf.zeros([])
