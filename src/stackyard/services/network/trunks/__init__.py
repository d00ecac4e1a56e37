"""Trunks: one port's wire that carries the frames of others, each tagged with a VLAN's number of its own."""
