"""Where people read."""
