"""Quality of service: policies whose rules say what ports, networks, floating IPs and router gateways may use.

`routes` has the table of calls, `api` is what the rest of the network service asks.
"""
