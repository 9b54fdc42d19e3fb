"""Settings, in files and on the command line."""
