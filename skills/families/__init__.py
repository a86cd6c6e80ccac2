"""Families: how a kind of model is loaded, fed and decoded."""
