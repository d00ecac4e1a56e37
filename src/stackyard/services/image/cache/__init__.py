"""Images' data kept on this host, so that what lies in a remote store is fetched once.

`tables.py` is what is known, `copies.py` the files, `operations.py` the API's calls, `reconcile.py` fetches what was
queued and removes what is no longer wanted, `routes.py` the table of calls and rules.

What is downloaded from a remote store is kept as it passes by, when it is whole and has the image's digest. The copies
together have a limit; past it, those go that have not been read for longest. Data in a store of files is on the host
anyway: such an image can be queued as well, and is then known to be at hand, without a copy.
"""
