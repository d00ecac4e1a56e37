"""Making servers so, on the host that each is on."""
