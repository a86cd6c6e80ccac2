"""Promptable segmenters: a box or points in, a mask out."""
