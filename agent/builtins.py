"""The built-ins of this room, registered through the same hooks as an outside plugin."""
