"""Who may do what with containers: Zun's rules with Zun's defaults, but for the one that Zun gives to nobody.

`container:create:privileged` is for administrators here; Zun's default denies it to everybody.
"""

from __future__ import annotations

from stackyard.core.policy import ANY_SCOPE, Rule

_OWNER = "is_admin:True or project_id:%(project_id)s"
_ADMIN = "rule:container:context_is_admin"

_ACTIONS = {
    "start": "Start a container.",
    "stop": "Stop a container.",
    "reboot": "Restart a container.",
    "pause": "Freeze a container's processes.",
    "unpause": "Thaw them.",
    "rebuild": "Make a container anew from its image or another.",
    "kill": "Send a signal to a container.",
    "rename": "Rename a container (to 1.13).",
    "update": "Change name, CPU, memory or auto_heal.",
    "resize_container": "Change CPU and memory.",
    "logs": "Read what a container has printed.",
    "execute": "Run a command inside.",
    "execute_resize": "Resize the terminal of a command.",
    "attach": "Attach to a container's terminal.",
    "resize": "Resize a container's terminal.",
    "top": "List a container's processes.",
    "stats": "Read a container's use of resources.",
    "get_archive": "Read files.",
    "put_archive": "Write files.",
    "commit": "Make an image of a container.",
    "add_security_group": "Add a security group (to 1.14).",
    "remove_security_group": "Remove a security group (to 1.14).",
    "network_attach": "Connect a network.",
    "network_detach": "Disconnect a network.",
    "network_list": "List a container's networks.",
    "actions": "List what was asked of a container.",
}
_ADMIN_ONLY = {
    "container:create:runtime": "Choose the OCI runtime.",
    "container:create:privileged": "Run a container with all privileges on the host.",
    "container:create:requested_destination": "Choose the host.",
    "container:create:image_pull_policy": "Choose when the image is pulled.",
    "container:delete_all_projects": "Delete a container of any project.",
    "container:delete_force": "Delete a container in a state that does not allow it.",
    "container:get_one:host": "See a container's host.",
    "container:get_one:image_pull_policy": "See a container's pull policy.",
    "container:get_one:privileged": "See whether a container is privileged.",
    "container:get_one:runtime": "See a container's OCI runtime.",
    "container:get_one_all_projects": "Show a container of any project.",
    "container:get_all_all_projects": "List the containers of all projects.",
    "container:action:events": "See the tracebacks of actions.",
    "registry:get_all_all_projects": "List the registries of all projects.",
    "quota:update": "Change a project's quota.",
    "quota:delete": "Reset a project's quota.",
    "quota_class:update": "Change the default quota.",
    "quota_class:get": "Show the default quota.",
    "host:get_all": "List hosts.",
    "host:get": "Show a host.",
    "image:pull": "Pull an image on a host.",
    "image:get_all": "List the images of hosts.",
    "image:get_one": "Show an image of a host.",
    "image:delete": "Remove an image from a host.",
    "network:attach_external_network": "Attach a container to an external network.",
    "network:create": "Tell the engine of a network.",
    "network:delete": "Take a network from the engine.",
    "zun-service:get_all": "List services.",
    "zun-service:delete": "Delete a service's record.",
    "zun-service:enable": "Let a host take containers.",
    "zun-service:disable": "Keep new containers from a host.",
    "zun-service:force_down": "Declare a host down.",
}
_OWNERS = {
    "container:create": "Create a container.",
    "container:delete": "Delete a container.",
    "container:get_one": "Show a container.",
    "container:get_all": "List containers.",
    "registry:create": "Record a private registry.",
    "registry:delete": "Delete a registry's record.",
    "registry:get_one": "Show a registry's record.",
    "registry:get_all": "List registries.",
    "registry:update": "Change a registry's record.",
    "quota:get": "Show a project's quota.",
    "quota:get_default": "Show the default quota.",
    "image:search": "Search images.",
    "availability_zones:get_all": "List availability zones.",
    "capsule:get_all": "List capsules.",
    "capsule:get": "Show a capsule.",
    "capsule:create": "Create a capsule.",
    "capsule:delete": "Delete a capsule.",
}

POLICIES: tuple[Rule, ...] = (
    Rule("container:context_is_admin", "role:admin", "Who is an administrator to this service.", ANY_SCOPE),
    *(Rule(name, _ADMIN, description, ANY_SCOPE) for name, description in _ADMIN_ONLY.items()),
    *(Rule(name, _OWNER, description, ANY_SCOPE) for name, description in _OWNERS.items()),
    *(Rule(f"container:{name}", _OWNER, description, ANY_SCOPE) for name, description in _ACTIONS.items()),
)
