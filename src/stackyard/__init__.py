"""Stackyard: a complete, OpenStack-compatible container cloud in one Python program."""

__version__ = "0.1.0"
