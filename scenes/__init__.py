"""Renderers of the embedded data sets: nothing of the library imports them."""
