"""Servers that are containers: `container` runs an application's image, `system` a whole system's files and its init.

Both by any ContainerEngine, apart from the cloud's other containers. `driver.py` is the `MachineDriver`.
"""
