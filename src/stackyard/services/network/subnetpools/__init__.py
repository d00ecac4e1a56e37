"""Subnet pools: prefixes that subnets are cut out of, so that no two of a pool or an address scope overlap."""
