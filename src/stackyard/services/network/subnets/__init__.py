"""Subnets: the addresses of a network, how hosts learn them, and the service port that tells them."""
