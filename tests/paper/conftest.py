"""Fixtures of this room's tests."""

from tiny_evaluations import made

__all__ = ["made"]
