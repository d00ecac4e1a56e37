"""The service catalogue: regions, services, their endpoints, and how a token shows them."""
