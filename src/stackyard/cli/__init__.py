"""The stackyard command; `main.py` lists what it can do, one file a command."""
