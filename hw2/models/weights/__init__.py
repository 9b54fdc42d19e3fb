"""Trained weights from elsewhere: fetched, checked, and brought to our names and layouts."""
