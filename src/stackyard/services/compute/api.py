"""What the rest of the cloud may ask of the compute service."""

from stackyard.services.compute.compare import differences, expected

__all__ = ["differences", "expected"]
