"""Scripts that measure the shipped model and the whole chain; run each as ``python -m benchmarks.NAME --help``."""
