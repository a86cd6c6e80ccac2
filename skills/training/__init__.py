"""Training: the dense tower, the base, one LoRA adapter a skill, calibration."""
