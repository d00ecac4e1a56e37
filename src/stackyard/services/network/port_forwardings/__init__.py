"""Port forwardings: ports of a floating IP that lead to ports of several machines behind a router."""
