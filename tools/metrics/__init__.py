"""Metrics of the four papers, each beside an honest twin that does not flatter a model which stays silent.

Everywhere: one entry a sample; a prediction of None is a text that could not be read, an empty list one that says that
there is none. A mean over nothing is NaN.
"""
