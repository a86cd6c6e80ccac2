"""What is kept: SQLite, migrations, exports."""
