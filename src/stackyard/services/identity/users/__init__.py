"""Users, their passwords, and the groups they belong to."""
