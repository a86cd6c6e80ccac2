"""What holds for every test."""

from __future__ import annotations

from hypothesis import settings

# No property depends on how fast the machine is: a busy one must not fail a test.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
