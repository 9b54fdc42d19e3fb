"""The order of pictures, and how they are loaded and kept."""
