"""The folder of a run: what a training writes to it, and how."""
