"""Servers: what is asked of them and what they show; reconcile/ beside this folder makes it so."""
