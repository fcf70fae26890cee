"""What is known about processes and ports."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

from serving import janitor, processes

_SLEEPER = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(600)"]


def test_a_port_somebody_listens_on_is_not_free_and_its_holder_is_known() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert not processes.port_is_free("127.0.0.1", port)
        holder = processes.port_holder(port)
        assert holder is not None
        assert holder.pid == os.getpid()
        assert ("0100007F", port) in processes.listening([os.getpid()])
    assert processes.port_is_free("127.0.0.1", port)
    assert processes.port_holder(port) is None


def test_grandchildren_are_descendants_too_and_come_after_their_parents() -> None:
    script = f"import subprocess; child = subprocess.Popen({_SLEEPER!r}); child.wait()"
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        child.stdout.readline()
        family = processes.descendants(child.pid)
        assert [one.parent for one in family] == [child.pid]
        assert family[0] in processes.descendants(os.getpid())
        child.kill()
        assert processes.end(family, patience_s=0) == family


def test_processes_that_end_in_time_are_not_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(0.3)"]) as child:
        family = [one for one in processes.descendants(os.getpid()) if one.pid == child.pid]
        assert processes.end(family, patience_s=10) == []


def test_only_processes_with_the_mark_are_found_by_it(tmp_path: Path) -> None:
    def sleeper(mark: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(_SLEEPER, env=os.environ | {"MARK": mark}, stdout=subprocess.PIPE, text=True)

    with sleeper(str(tmp_path)) as ours, sleeper(f"{tmp_path}-other") as other:
        for one in (ours, other):
            assert one.stdout is not None
            one.stdout.readline()
        assert [one.pid for one in processes.marked("MARK", str(tmp_path))] == [ours.pid]
        ours.kill()
        other.kill()


def test_when_its_employer_dies_the_janitor_ends_what_was_left_and_removes_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "server"
    folder.mkdir()
    root = str(Path(__file__).resolve().parents[2])
    hired = janitor.hire(folder, import_path=root)
    environment = os.environ | {janitor.MARK: str(folder)}
    with subprocess.Popen(_SLEEPER, env=environment, stdout=subprocess.PIPE) as left:
        assert left.stdout is not None
        left.stdout.readline()
        assert hired.stdin is not None
        hired.stdin.close()
        assert left.wait(20) == -9
    assert hired.wait(20) == 0
    assert not folder.exists()


def test_a_janitor_who_is_dismissed_touches_nothing(tmp_path: Path) -> None:
    hired = janitor.hire(tmp_path, import_path=str(Path(__file__).resolve().parents[2]))
    started = time.monotonic()
    janitor.dismiss(hired)
    assert hired.returncode == 0
    assert time.monotonic() - started < 3
    assert tmp_path.exists()
