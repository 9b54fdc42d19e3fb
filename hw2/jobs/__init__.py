"""Training, evaluation and prediction; the only modules that take the settings as a whole."""
