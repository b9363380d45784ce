"""Metrics, protocols and intervals: pure functions of arrays. Reads no file and runs no network."""
