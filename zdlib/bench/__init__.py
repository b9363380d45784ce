"""Time and memory, measured side by side: `python -m zdlib.bench`."""
