"""Data sets: readers that stream typed samples."""
