"""Flavors: which provider serves a router, by the name of a flavor and the profiles that it is made of."""
