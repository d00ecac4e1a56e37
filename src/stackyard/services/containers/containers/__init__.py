"""The noun container: its table, bodies, operations and views, a file each."""
