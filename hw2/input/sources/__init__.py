"""Sources of images, one kind in each file."""
