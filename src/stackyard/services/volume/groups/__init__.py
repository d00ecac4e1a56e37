"""Groups of volumes (3.13), and snapshots of whole groups (3.14).

A group is kept in one back end, as its volumes are. What is done to a group is done to its volumes, one by one; the
group's own status follows them (reconcile/groups.py). Snapshots of a group whose type promises that they are of one
moment are made only while none of its volumes is attached: nothing writes to them then.
"""
