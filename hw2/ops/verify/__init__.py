"""Holds every op against its definition and against TensorFlow."""
