"""Tidies up after a server whose own process was killed: ends what it had started, removes its folder.

Ray's processes mostly die with the one that started them, but not all of them do, and nobody removes the files. The
janitor is a small process that waits for the end of its input; the input ends when the server's process does, whatever
the reason. Only processes that carry the server's mark in their environment are touched.
"""

import contextlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from serving import processes

MARK = "ATTUNE_SERVER"
"""The environment variable that all processes of one server share; its value is the server's folder."""
_DISMISSED = b"dismissed"
_PATIENCE_S = 3.0


def hire(folder: Path, *, import_path: str) -> "subprocess.Popen[bytes]":
    """Start a janitor for the server that lives in `folder`."""
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "serving.janitor", str(folder)],
        stdin=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": import_path},
        cwd="/",
        start_new_session=True,
    )


def dismiss(janitor: "subprocess.Popen[bytes] | None") -> None:
    """Send the janitor home: the server has tidied up by itself."""
    if janitor is not None:
        with contextlib.suppress(BrokenPipeError):
            janitor.communicate(_DISMISSED)


def main() -> None:
    """Wait for the server's end, then tidy up."""
    folder = sys.argv[1]
    if sys.stdin.buffer.read() == _DISMISSED:
        return
    for _ in range(2):  # the second time for what was being started while the first went on
        processes.end(processes.marked(MARK, folder), patience_s=_PATIENCE_S)
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
