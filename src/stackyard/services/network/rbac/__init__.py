"""RBAC policies: what a project shares with others, or with all."""
