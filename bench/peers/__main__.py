"""Command line of the peers. usage: python -m bench.peers install|init|start|stop|rss [NAME...]"""

from __future__ import annotations

import sys

from bench.peers import daemons, database
from bench.peers.install import install
from bench.peers.settings import Settings


def main(arguments: list[str]) -> int:
    """Does what the first argument says; the rest name daemons (default: all)."""
    settings = Settings.from_environment()
    command, names = (arguments[0], tuple(arguments[1:]) or daemons.ALL) if arguments else ("", ())
    if command == "install":
        install(settings)
    elif command == "init":
        print(f"initialised in {database.initialise(settings, print):.1f} s")
    elif command == "start":
        print(f"ready after {daemons.start(settings, names):.1f} s")
    elif command == "stop":
        daemons.stop(settings, names)
    elif command == "rss":
        for name in names:
            pids = daemons.processes(settings, name)
            print(f"{name:18} {len(pids):3} processes {daemons.resident_mebibytes(pids):8.1f} MiB")
    else:
        print(__doc__, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
