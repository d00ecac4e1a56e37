"""Policies that are kept for other services to fetch (OS-ENDPOINT-POLICY); nothing here decides by them."""
