"""The kernel on both databases."""
