"""Quotas of volumes: what projects may have (usage.py counts; sets.py and classes.py are what callers may ask)."""
