"""Exercises in convolution, and what grades them."""
