"""What a model does: skills, families, adapters, datasets, training."""
