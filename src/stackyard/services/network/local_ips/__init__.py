"""Local IPs: further addresses of a network that lead to one of its ports, whichever that is at the time."""
