"""Opening images: decoded behind a time and a memory limit, with their frames and their scale."""
