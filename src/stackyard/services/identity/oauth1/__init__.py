"""OAuth 1.0a: consumers (programs of others) get access tokens, by which they act as who authorised them."""
