"""One writer to a folder: a second one is refused at once, a dead one's lock is none."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from normlab.errors import InputError
from normlab.store.lock import only_writer

HOLD = """
import sys
from pathlib import Path
from normlab.store.lock import only_writer
with only_writer(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_a_stopped_process_keeps_its_lock_and_a_killed_one_does_not(tmp_path: Path) -> None:
    line = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        for sent in (signal.SIGCONT, signal.SIGSTOP):  # running, then stopped
            holder.send_signal(sent)
            line = r"one process at a time .* in use; wait until"
            with pytest.raises(InputError, match=line), only_writer(tmp_path):
                raise AssertionError("two writers")
        holder.kill()
    with only_writer(tmp_path):
        assert (tmp_path / ".lock").exists()
    with only_writer(tmp_path):  # given back
        pass
