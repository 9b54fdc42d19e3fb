"""What is done to pictures before a model sees them."""
