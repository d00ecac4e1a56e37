"""Runs commands of the openstack client, one JSON list of words a line, in one process of the clients' environment.

The code that runs is the client's own, from its entry point on. Only the second that Python takes to import it is
spent once, not for each command. Answers a JSON list a line: the exit status, standard output, standard error.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys


class Terminal(io.StringIO):
    """A standard input at which somebody sits and types nothing: commands do not look for data there."""

    def isatty(self) -> bool:
        """It is one."""
        return True


def main() -> None:
    """Until standard input ends."""
    from openstackclient import shell

    answers, commands = sys.stdout, sys.stdin
    sys.stdin = Terminal()
    for line in commands:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                status = shell.main(json.loads(line))
            except SystemExit as error:
                status = error.code if isinstance(error.code, int) else 1
        answers.write(json.dumps([status or 0, out.getvalue(), err.getvalue()]) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
