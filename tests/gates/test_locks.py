"""One process at a time, by name."""

import os
import signal
import time
from pathlib import Path

import pytest

from zdlib.errors import ZDError
from zdlib.gates.locks import is_alive, only_process


def holding(path: Path) -> int:
    """A process that holds a lock until it is killed."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        with only_process(path, "x is done"):
            os.write(writing, b"!")
            time.sleep(600)
        os._exit(0)
    assert os.read(reading, 1) == b"!"
    os.close(reading)
    os.close(writing)
    return child


def test_a_second_process_is_refused_with_the_first_one_s_number(tmp_path: Path) -> None:
    path = tmp_path / "a" / "x.lock"
    child = holding(path)
    with (
        pytest.raises(ZDError, match=rf"a: x is done here by process {child} already"),
        only_process(path, "x is done"),
    ):
        pass
    assert path.exists(), "it is the other one's"
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert path.exists(), "a killed process leaves it"
    with only_process(path, "x is done"):
        assert path.read_text() == f"{os.getpid()}\n"
    assert not path.exists()
    assert not is_alive(child)
    assert is_alive(os.getpid())
    assert is_alive(1)


def test_many_at_once_are_one_after_the_other(tmp_path: Path) -> None:
    """Whoever gets the lock is alone, however many remove and make the file."""
    path, log = tmp_path / "x.lock", tmp_path / "log"
    children = []
    for _ in range(6):
        child = os.fork()
        if not child:
            done = 0
            while done < 15:
                try:
                    with only_process(path, "x"), open(log, "ab", 0) as file:
                        file.write(b"(")
                        time.sleep(0.001)
                        file.write(b")")
                    done += 1
                except ZDError:
                    time.sleep(0.0005)
            os._exit(0)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 6
    assert log.read_bytes() == b"()" * 90


def test_a_folder_that_cannot_be_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ZDError, match=r"x\.lock: cannot be written"), only_process(tmp_path / "file" / "x.lock", "x"):
        pass
