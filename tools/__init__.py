"""What is computed: frames, images, geometry, measurement, checks. No model, no database."""
