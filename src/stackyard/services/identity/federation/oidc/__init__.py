"""OpenID Connect: bearer tokens of known issuers, verified here without a proxy."""
