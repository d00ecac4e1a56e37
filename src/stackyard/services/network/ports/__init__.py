"""Ports: a network card's place on a network, with its addresses, its security groups, and where it is wired."""
