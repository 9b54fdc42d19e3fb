"""Training, evaluation and prediction, as the settings say."""
