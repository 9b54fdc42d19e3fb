"""Preprocessing and random augmentation of images."""
