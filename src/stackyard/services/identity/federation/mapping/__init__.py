"""Mappings: rules that say what the attributes an identity provider sends make of a user here."""
