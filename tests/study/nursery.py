"""A process that has imported all that a study needs, and forks one command after the other: seconds less for each.

Run as `python nursery.py`: every line on its standard input is a command's arguments, as JSON; it forks a child that
runs it and prints `started PID`, then, when the child has ended, `ended STATUS` (negative: the signal that killed it).
JAX has not begun to compute when it forks: no thread of its own is running yet.
"""

from __future__ import annotations

import json
import os
import sys


def main() -> None:
    """Fork a child for every line, one at a time."""
    from normlab.train.devices import prepare

    prepare()

    import normlab.cli
    import normlab.report.page
    import normlab.study.execute
    import normlab.train.population

    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            sys.argv = ["normlab", *json.loads(line)]
            try:
                normlab.cli.main()
            except SystemExit as end:
                os._exit(int(end.code or 0))
            os._exit(0)
        print(f"started {child}", flush=True)
        _, status = os.waitpid(child, 0)
        print(f"ended {os.waitstatus_to_exitcode(status)}", flush=True)


if __name__ == "__main__":
    main()
