"""Docker's networks on ours: libnetwork's remote network driver and IPAM driver, as Kuryr has them.

Docker posts JSON to `/NetworkDriver.CreateNetwork` and the like (`app`), on a unix socket in its plug-in directory
(`listening`). Every call is one transaction (`session`), in which the network service's own API is asked for what Kuryr
asks Neutron for; so all that there is of it is networks, subnets, subnet pools and ports with tags (`names`), and
nothing is remembered here. `forwarding` brings published ports of the host to containers.
"""
