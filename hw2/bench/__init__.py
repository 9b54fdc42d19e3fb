"""Convolutions of whole models, by several algorithms side by side."""
