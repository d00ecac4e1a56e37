"""Our OCI runtime: a small shell script before runc, which puts each container into the namespace we made for it.

Docker is told that the container uses the host's network, so it makes no namespace and no veth of its own; the script
names ours in the bundle instead. It works without us, as Docker's restart policies need, and fails closed: a container
without a record of its namespace, or whose namespace is gone, does not start.
"""

from __future__ import annotations

import contextlib
import shlex
import shutil
import threading
from pathlib import Path

NAME = "stackyard"
MISSING_RECORD = "no network namespace is recorded for container"

_SCRIPT = r"""#!/bin/sh
# Stackyard's OCI runtime: runs runc with the container's network namespace replaced by the one recorded for it.
# Every subcommand but those that make a container, or run another process in one, goes to runc as it is.
runtime=@RUNTIME@
records=@RECORDS@
log=

fail() {
    printf 'stackyard: %s\n' "$1" >&2
    if [ -n "$log" ]; then
        printf '{"level":"error","msg":"stackyard: %s","time":"1970-01-01T00:00:00Z"}\n' "$1" >>"$log"
    fi
    exit 1
}

# Takes from the lists of capabilities in a file the one that this machine withholds even from root: asking for it
# would fail every privileged container.
edit_capabilities=':list
s#\("capabilities":{[^}]*\)"CAP_SYS_RESOURCE",#\1#
t list
s#\("capabilities":{[^}]*\),"CAP_SYS_RESOURCE"#\1#
t list
s#\("capabilities":{[^}]*\[\)"CAP_SYS_RESOURCE"\]#\1]#
t list'
withheld() {
    while read -r key value; do
        case $key in
            CapBnd:) case $value in ?????????[13579bdfBDF]??????) return 1 ;; *) return 0 ;; esac ;;
        esac
    done </proc/self/status
    return 1
}

command= bundle=. id= process= expect=
for word; do
    if [ -n "$expect" ]; then
        case $expect in log) log=$word ;; bundle) bundle=$word ;; process) process=$word ;; esac
        expect=
        continue
    fi
    case $word in
        --log) expect=log ;;
        --log=*) log=${word#*=} ;;
        --bundle | -b) expect=bundle ;;
        --bundle=*) bundle=${word#*=} ;;
        --process | -p) expect=process ;;
        --process=*) process=${word#*=} ;;
        --root | --log-format | --criu | --console-socket | --pid-file | --preserve-fds | --image-path | --work-path \
        | --parent-path | --manage-cgroups-mode | --empty-ns | --status-fd | --lsm-profile | --lsm-mount-context \
        | --cwd | --env | -e | --user | -u | --additional-gids | -g | --process-label | --apparmor | --cap | -c \
        | --cgroup)
            expect=skip ;;
        -*) ;;
        *) if [ -z "$command" ]; then command=$word; else id=$word; fi ;;
    esac
    case $command in
        '' | create | run | restore) ;;
        exec) [ -z "$id" ] || break ;; # what follows are the words of whoever runs it
        *) break ;;
    esac
done
case $command in
    create | run | restore) ;;
    exec)
        if [ -n "$process" ] && withheld; then
            sed -i -e "$edit_capabilities" "$process" || fail "$process cannot be edited"
        fi
        exec "$runtime" "$@" ;;
    *) exec "$runtime" "$@" ;;
esac

case $id in
    '' | *[!A-Za-z0-9_.-]*) fail "the container's id is missing or malformed" ;;
esac
[ -r "$records/$id" ] || fail "@MISSING@ $id"
IFS= read -r netns <"$records/$id"
case $netns in
    /*) ;;
    *) fail "the record of container $id names no path" ;;
esac
case $netns in
    *[!A-Za-z0-9_./-]*) fail "the record of container $id names a malformed path" ;;
esac
[ -e "$netns" ] || fail "the network namespace $netns of container $id is gone"
if [ "$netns" -ef /proc/self/ns/net ]; then fail "$netns is the network namespace of the host itself"; fi

# In JSON a quotation mark within a value is escaped, so what a user wrote cannot look like these keys.
# Docker's own entry (the host's namespace) goes, ours comes; q4 when there is no list to put it into.
edit=':own
s#\("namespaces":\[[^]]*\){"type":"network"[^}]*},\{0,1\}#\1#
t own
s#"namespaces":\[#&{"type":"network","path":"'$netns'"},#
t joined
q4
:joined
s#\("namespaces":\[[^]]*\),\]#\1]#'
if withheld; then
    edit="$edit
$edit_capabilities"
fi
[ -s "$bundle/config.json" ] && sed -i -e "$edit" "$bundle/config.json" ||
    fail "the configuration of container $id does not let it have its network"
exec "$runtime" "$@"
"""


class Runtime:
    """The script and the records of one cloud, under its state directory."""

    def __init__(self, state_dir: Path) -> None:
        self.path = state_dir / "runtime" / "stackyard-runc"
        self.records = state_dir / "runtime" / "sandboxes"

    def install(self, runc: str) -> None:
        """Write the script (atomically, for an engine that uses it now)."""
        self.records.mkdir(parents=True, exist_ok=True)
        text = script(runc, self.records)
        with contextlib.suppress(FileNotFoundError):
            if self.path.read_text() == text:
                return
        _write(self.path, text, 0o755)

    def record(self, engine_id: str, netns: str) -> None:
        """Say which namespace the container, by its full id in the engine, is to join."""
        self.records.mkdir(parents=True, exist_ok=True)
        _write(self.records / engine_id, netns + "\n", 0o644)

    def forget(self, engine_id: str) -> None:
        """The container is removed."""
        (self.records / engine_id).unlink(missing_ok=True)

    def forget_all(self) -> None:
        """All containers are removed; one whose removal was cut short may have left its record."""
        shutil.rmtree(self.records, ignore_errors=True)


def script(runc: str, records: Path) -> str:
    """The text of the script."""
    replaced = _SCRIPT.replace("@RUNTIME@", shlex.quote(runc)).replace("@RECORDS@", shlex.quote(str(records)))
    return replaced.replace("@MISSING@", MISSING_RECORD)


def _write(path: Path, text: str, mode: int) -> None:
    temporary = path.with_name(f".{path.name}.{threading.get_native_id()}")
    temporary.write_text(text)
    temporary.chmod(mode)
    temporary.replace(path)
