"""Segments: what carries a network's frames between hosts, and the ranges that their numbers are from."""
