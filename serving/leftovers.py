"""What servers that died have left on this machine: files nobody needs, processes that somebody should end.

A server writes into its folder which process it is. Where that process is gone, its janitor ends the others and removes
the folder within seconds; whatever is there after that was left because the janitor was killed, too. Files are removed.
Processes are named and not ended: they could have been adopted by somebody who debugs them.
"""

import logging
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from serving import processes
from serving.janitor import MARK

PREFIX = "attune-"
_OWNER = "owner"
_PATIENCE_S = 8.0
"""How long the janitor of a server that has just died is waited for."""
_log = logging.getLogger("attune.leftovers")


def own(folder: Path) -> None:
    """Write down that this process's server lives in `folder`."""
    me = processes.one(os.getpid())
    (folder / _OWNER).write_text("" if me is None else f"{me.pid} {me.born}")


def tidy(parent: Path) -> list[str]:
    """Remove folders below `parent` that servers of this user left when they died; what cannot be tidied is said in a
    sentence each, with the remedy, and logged."""
    told: list[str] = []
    for folder in _abandoned(parent):
        deadline = time.monotonic() + _PATIENCE_S
        while (left := processes.marked(MARK, str(folder))) and time.monotonic() < deadline:
            time.sleep(0.1)
        if left:
            names = ", ".join(sorted({one.name for one in left}))
            numbers = " ".join(str(one.pid) for one in left)
            told.append(f"a server that died left processes behind ({names}); `kill -9 {numbers}` ends them")
            _log.warning(told[-1])
        elif folder.exists():
            shutil.rmtree(folder, ignore_errors=True)
            _log.info("removed %s, which a server that died had left", folder)
    return told


def _abandoned(parent: Path) -> Iterator[Path]:
    """Folders whose servers are gone."""
    for folder in sorted(parent.glob(f"{PREFIX}*")):
        try:
            if folder.stat().st_uid != os.getuid():
                continue
            pid, born = map(int, (folder / _OWNER).read_text().split())
        except (OSError, ValueError):
            continue  # not a server's, or not begun yet
        now = processes.one(pid)
        if now is None or now.born != born:
            yield folder
