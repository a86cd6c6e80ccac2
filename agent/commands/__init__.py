"""The longer commands of the command line, one to a file; ``cli.py`` only reads their arguments."""
