"""Pods and podman containers on tenant networks, by the Container Network Interface (specification 1.0).

The runtime runs `stackyard-cni` (`stackyard.cli.cni`), which hands what it was given to the running cloud, on a socket
in its state directory that only root may use (`app`). A pod's interface is a port (`attachments`), wired into the
namespace that the runtime has made.
"""

SOCKET_NAME = "cni.sock"
"""The socket, in the state directory."""
