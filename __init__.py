"""Answers about medical images that are grounded, explained, measured, and withheld when the geometry does not hold."""

__version__ = "0.1.0"
