"""Routers: between a project's networks, and from them through a gateway to an external network."""
