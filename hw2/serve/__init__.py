"""A page, and a small JSON API beside it, to try the model of a run on pictures."""
