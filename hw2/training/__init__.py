"""Trains any model that is called `model(images, training=, seed=)`."""
