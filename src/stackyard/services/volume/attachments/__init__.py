"""Attachments: what a volume is attached to, and how it is reached there."""
