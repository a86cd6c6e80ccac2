"""Families of the model hub: real classes of transformers, without torchvision and without remote code."""
