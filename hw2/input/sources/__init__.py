"""Sources of pictures, one kind in each file."""
