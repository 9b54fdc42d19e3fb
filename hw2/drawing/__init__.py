"""Moving pictures of a window, its patches, their product, and the gradients."""
