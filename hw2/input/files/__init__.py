"""Image files: their formats, decoding, links, names and duplicates."""
