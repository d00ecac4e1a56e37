"""The benchmark: every row compares Stackyard with a peer that was measured in the same run. Start with run.py."""
