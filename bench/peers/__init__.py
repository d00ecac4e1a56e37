"""Real OpenStack services (Keystone, Glance, Neutron, Zun) from PyPI, started on loopback to be compared with.

`python -m bench.peers install` fetches them, `init` makes their databases, `start`, `stop` and `rss` do as they say.
Everything lives under one directory; each service is a session of its own, so that all its processes can be ended.
"""
