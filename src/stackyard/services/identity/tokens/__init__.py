"""Tokens: signing in, what a token stands for, checking and revoking it."""
