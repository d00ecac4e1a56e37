"""Security groups: which packets the ports in them may send and receive."""
