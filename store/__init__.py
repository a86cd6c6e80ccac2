"""What is kept of each run: SQLite, through numbered migrations."""

from __future__ import annotations

from fiducial.store.store import Store

__all__ = ["Store"]
