"""Application credentials: a secret of a user's that stands for some of the user's roles on one project."""
