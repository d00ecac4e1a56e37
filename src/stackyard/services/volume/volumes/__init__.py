"""Volumes: what users ask of them, and what they see."""
