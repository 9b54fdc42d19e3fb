"""Picture files: formats, decoding, names."""
