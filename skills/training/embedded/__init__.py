"""The embedded model's own training: its tower, densely; its base; one adapter a skill; calibration."""
