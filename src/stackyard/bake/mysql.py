"""mysql: MariaDB's server under the names and variables of the well-known image."""

from __future__ import annotations

from stackyard.bake.recipe import PATH, Recipe, User

_USER = User("mysql", 999, "/var/lib/mysql")

_ENTRYPOINT = r"""#!/bin/sh
# Makes the database on the first start, with what MYSQL_* (or MARIADB_*) variables say, then runs the server.
set -eu
case ${1:-} in
    mysqld | mariadbd | -*) ;;
    *) exec "$@" ;;
esac
case $1 in -*) set -- mysqld "$@" ;; esac
shift

data=/var/lib/mysql
if [ -d "$data/mysql" ]; then
    exec mariadbd --user=mysql "$@"
fi

root=${MYSQL_ROOT_PASSWORD:-${MARIADB_ROOT_PASSWORD:-}}
database=${MYSQL_DATABASE:-${MARIADB_DATABASE:-}}
user=${MYSQL_USER:-${MARIADB_USER:-}}
password=${MYSQL_PASSWORD:-${MARIADB_PASSWORD:-}}
empty=${MYSQL_ALLOW_EMPTY_PASSWORD:-${MARIADB_ALLOW_EMPTY_ROOT_PASSWORD:-}}
random=${MYSQL_RANDOM_ROOT_PASSWORD:-${MARIADB_RANDOM_ROOT_PASSWORD:-}}
if [ -z "$root" ] && [ -n "$random" ]; then
    root=$(head -c 24 /dev/urandom | base64 | tr -d '\n')
    echo "GENERATED ROOT PASSWORD: $root"
fi
if [ -z "$root" ] && [ -z "$empty" ]; then
    echo "Database is uninitialized and password option is not specified: give one of" \
        "MYSQL_ROOT_PASSWORD, MYSQL_ALLOW_EMPTY_PASSWORD and MYSQL_RANDOM_ROOT_PASSWORD" >&2
    exit 1
fi

# Text and names as SQL, whatever they contain; the server reads one statement a line.
text() { printf '%s' "$1" | tr '\n' ' ' | sed -e 's/\\/\\\\/g' -e "s/'/''/g"; }
name() { printf '%s' "$1" | tr '\n' ' ' | sed -e 's/`/``/g'; }

chown mysql:mysql "$data"
mariadb-install-db --user=mysql --datadir="$data" --skip-test-db --auth-root-authentication-method=normal >/dev/null
umask 077
first=$(mktemp)
{
    echo "SET @@SESSION.SQL_LOG_BIN=0;"
    echo "DELETE FROM mysql.global_priv WHERE User='' OR (User='root' AND Host NOT IN ('localhost'));"
    echo "FLUSH PRIVILEGES;"
    echo "ALTER USER 'root'@'localhost' IDENTIFIED BY '$(text "$root")';"
    echo "CREATE USER 'root'@'%' IDENTIFIED BY '$(text "$root")';"
    echo "GRANT ALL ON *.* TO 'root'@'%' WITH GRANT OPTION;"
    if [ -n "$database" ]; then
        echo "CREATE DATABASE IF NOT EXISTS \`$(name "$database")\`;"
    fi
    if [ -n "$user" ] && [ "$user" != root ]; then
        echo "CREATE USER '$(text "$user")'@'%' IDENTIFIED BY '$(text "$password")';"
        if [ -n "$database" ]; then
            echo "GRANT ALL ON \`$(name "$database" | sed -e 's/_/\\_/g')\`.* TO '$(text "$user")'@'%';"
        fi
    fi
} >"$first"
chown mysql:mysql "$first"
# The server reads the file while it starts, so it can go once the socket is there.
(
    while [ ! -S /run/mysqld/mysqld.sock ]; do sleep 0.1; done
    rm -f "$first"
) &
exec mariadbd --user=mysql --init-file="$first" "$@"
"""

_CONFIGURATION = """\
[mysqld]
user = mysql
datadir = /var/lib/mysql
socket = /run/mysqld/mysqld.sock
pid-file = /run/mysqld/mysqld.pid
bind-address = *
skip-name-resolve
innodb_buffer_pool_size = 64M
innodb_log_file_size = 16M
performance_schema = OFF

[client]
socket = /run/mysqld/mysqld.sock
"""

RECIPE = Recipe(
    name="mysql",
    packages=(
        "mariadb-server-core|mariadb-server-core-10.6",
        "mariadb-client-core|mariadb-client-core-10.6",
        "busybox-static",
    ),
    without=("debconf", "gcc-*-base", "perl-base"),
    drop=(
        "usr/lib/*/gconv/*", "usr/share/mysql/[a-z]*/errmsg.sys.*", "etc/mysql/*", "usr/bin/mariadb-backup",
        "usr/bin/*test*", "usr/share/mysql/mysql-test/*",
    ),
    users=(_USER,),
    directories={"var/lib/mysql": _USER, "run/mysqld": _USER, "var/log/mysql": _USER},
    files={"usr/local/bin/docker-entrypoint.sh": _ENTRYPOINT, "etc/mysql/my.cnf": _CONFIGURATION},
    links={
        "usr/sbin/mysqld": "mariadbd",
        "usr/bin/mysql": "mariadb",
        "usr/bin/mysqladmin": "mariadb-admin",
        "etc/my.cnf": "/etc/mysql/my.cnf",
    },
    config={
        "Entrypoint": ["docker-entrypoint.sh"],
        "Cmd": ["mysqld"],
        "Env": [PATH],
        "ExposedPorts": {"3306/tcp": {}},
        "StopSignal": "SIGTERM",
    },
)  # fmt: skip
