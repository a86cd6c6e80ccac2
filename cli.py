"""What a person types."""


def main() -> None:
    """Entry point."""
    raise SystemExit("not built yet")
