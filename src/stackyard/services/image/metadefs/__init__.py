"""Metadata definitions: a catalogue of which properties images and other resources may carry, and what they mean.

A namespace holds property definitions, objects (groups of properties) and tags, and is associated with the types of
resource that its properties are for. `tables.py` keeps them, `bodies.py` checks what clients send,
`namespaces.py` and `items.py` are the operations, `schemas.py` the JSON schemas.
"""
