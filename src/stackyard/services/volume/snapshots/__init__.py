"""Snapshots: what a volume held at one moment."""
