"""Credentials of users beside the password: EC2 keys, one-time-passcode seeds, certificates. Encrypted at rest."""
