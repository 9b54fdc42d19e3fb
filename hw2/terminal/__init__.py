"""Output for people: consoles, progress bars, and the hiding of TensorFlow's start-up lines."""
