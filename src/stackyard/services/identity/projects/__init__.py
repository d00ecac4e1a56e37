"""Projects, and the domains that hold them: one tree in one table."""
