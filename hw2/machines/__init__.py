"""The machines, workers and devices that train, and the signals that stop them."""
