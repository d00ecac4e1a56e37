"""One folder per OpenStack service, all of one shape."""
