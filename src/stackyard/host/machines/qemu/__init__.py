"""Virtual machines by QEMU: one process a machine, which holds nothing but what it was handed.

QEMU runs as a user of the machine's own, in a network namespace with nothing in it, under its system call filter.
Disks, cards, sockets and logs are opened by us and handed over as descriptors, so that it needs no path of this host
and could not open one. `driver.py` is the `MachineDriver`; `command.py` says what a machine is made of; `monitor.py`
speaks QMP (a line of JSON each way, with descriptors beside it; synchronous, as every caller has a thread to wait in).
"""
