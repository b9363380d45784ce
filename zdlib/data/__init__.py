"""Readers, transforms and the embedded data set."""
