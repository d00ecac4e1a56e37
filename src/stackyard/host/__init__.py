"""One machine's agent: specs in, observations out."""
