"""The channel between hosts, by which servers move: one process asks another one's for what a move is about.

`channel.py` listens and calls; `tickets.py` says who may (a secret a connection, good once, for one move between these
two hosts); `certificate.py` is how a host is known; `stream.py` what goes over a connection; `relay.py` carries bytes
between a connection and a socket of a machine.
"""

from stackyard.services.compute.peers.channel import PEERS, Call, Handler, Peers

__all__ = ["PEERS", "Call", "Handler", "Peers"]
