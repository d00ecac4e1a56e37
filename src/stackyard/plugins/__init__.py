"""Docker plug-ins served by the cloud."""
