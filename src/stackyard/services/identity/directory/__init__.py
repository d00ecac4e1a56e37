"""Users and groups of an LDAP directory or Active Directory, a directory for each domain that is configured so.

`settings.py` reads a domain's configuration, `client.py` asks the directory, `mirror.py` keeps what it says in the
tables of users and groups, so that tokens, roles and lists know no difference; `sync.py` does so again and again, and
`sign_in.py` when somebody of the directory signs in. The directory is only read: changes to its users are refused.
"""
