"""Unified limits: how much of a service's resource a project may have, registered here for services to ask for."""
