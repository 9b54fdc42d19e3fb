"""The training loop and its parts, for any model called as `model(images, training=, seed=)`."""
