"""Scanning: listing the images of a source, and finding the bad ones before training."""
