"""What servers have to do with volumes, which are the volume service's (asked by its api.py alone).

`rows.py` is which server has which; `planning.py` what new servers are made with, `attaching.py` what comes to those
that are there and leaves them, `ending.py` what becomes of all in the end; reconcile/volumes.py does it on the host.
"""
