"""nginx: serves /usr/share/nginx/html on port 80 and logs to the container's output."""

from __future__ import annotations

from stackyard.bake.recipe import PATH, Recipe, User

_USER = User("www-data", 33, "/var/www")

_CONFIGURATION = """\
user www-data;
worker_processes auto;
pid /run/nginx.pid;
error_log /var/log/nginx/error.log notice;

events {
    worker_connections 1024;
}

http {
    include /etc/nginx/mime.types;
    default_type application/octet-stream;
    access_log /var/log/nginx/access.log combined;
    sendfile on;
    keepalive_timeout 65;
    include /etc/nginx/conf.d/*.conf;
}
"""

_DEFAULT_SERVER = """\
server {
    listen 80;
    listen [::]:80;
    server_name localhost;

    location / {
        root /usr/share/nginx/html;
        index index.html index.htm;
    }
}
"""

_PAGE = """\
<!DOCTYPE html>
<html>
<head>
<title>Welcome to nginx!</title>
</head>
<body>
<h1>Welcome to nginx!</h1>
<p>If you see this page, the nginx web server is successfully installed and working.</p>
</body>
</html>
"""

RECIPE = Recipe(
    name="nginx",
    packages=("nginx", "busybox-static"),
    without=(
        "debconf", "gcc-*-base", "iproute2", "libbpf*", "libbsd0", "libcap2*", "libdb5.3*", "libelf1*", "libmd0",
        "libmnl0", "libselinux1", "libtirpc*", "libxtables12",
    ),
    drop=("usr/lib/*/gconv/*", "etc/nginx/sites-*", "etc/nginx/conf.d/*", "var/www/*"),
    users=(_USER,),
    directories={"var/lib/nginx": _USER, "var/log/nginx": None, "etc/nginx/conf.d": None},
    files={
        "etc/nginx/nginx.conf": _CONFIGURATION,
        "etc/nginx/conf.d/default.conf": _DEFAULT_SERVER,
        "usr/share/nginx/html/index.html": _PAGE,
    },
    links={"var/log/nginx/access.log": "/dev/stdout", "var/log/nginx/error.log": "/dev/stderr"},
    config={
        "Cmd": ["nginx", "-g", "daemon off;"],
        "Env": [PATH],
        "ExposedPorts": {"80/tcp": {}},
        "StopSignal": "SIGQUIT",
    },
)  # fmt: skip
