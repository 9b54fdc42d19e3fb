"""The order of training, and the loading and caching of images."""
