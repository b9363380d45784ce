"""Depth Anything's study in small: do pictures without depth help, written as pictures, trained on, and compared."""
