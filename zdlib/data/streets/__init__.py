"""The embedded road scenes: reader of what `data/streets/` holds."""
