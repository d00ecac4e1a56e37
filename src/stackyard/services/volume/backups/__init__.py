"""Backups of volumes: what callers may ask; the host of the volume makes them (reconcile/backups.py).

finding.py finds them, creation.py and restoring.py begin the two great tasks, records.py exports and imports what the
database knows of one, operations.py has the rest.
"""
