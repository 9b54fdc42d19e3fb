"""Exports: files that classify images without hw2, verified against prediction."""
