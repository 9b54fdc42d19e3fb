"""What a source holds, and what is bad of it."""
