"""Metering: labels that count what routers carry between tenants and the outside, by rules on addresses."""
