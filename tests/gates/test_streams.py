"""How a program ends when nobody reads what it prints, or it is told to stop."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from zdlib.gates.streams import Terminated, run_quietly, stop_signals

ROOT = Path(__file__).resolve().parents[2]
MANY_LINES = (
    "from zdlib.gates.streams import run_quietly\nimport sys\ndef lines():\n    for _ in range(9**5): print('x' * 99)\n"
)


def run_with_output(where: object, script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=where,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=120,
    )


def test_a_reader_that_goes_away_is_no_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = run_with_output(writing, f"{MANY_LINES}    return 0\nsys.exit(run_quietly('zdlib', lines))")
    os.close(writing)
    assert (done.returncode, done.stderr) == (128 + signal.SIGPIPE, "")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
@pytest.mark.parametrize("count", [1, 9**5])
def test_a_full_disk_under_the_output_is_one_line(count: int) -> None:
    with open("/dev/full", "w") as full:
        script = f"{MANY_LINES.replace('9**5', str(count))}    return 0\nsys.exit(run_quietly('zdlib', lines))"
        done = run_with_output(full, script)
    assert done.returncode == 1
    assert done.stderr == "zdlib: the output cannot be written (No space left on device): free space\n"


def test_a_terminal_that_lacks_a_letter_is_served() -> None:
    """`δ1` under an old locale; a file's name of arbitrary bytes under any."""
    script = "import sys\nfrom zdlib.gates.streams import run_quietly\n"
    script += "sys.exit(run_quietly('zdlib', lambda: print('\\u03b41', '\\udcff.png') or 0))"
    for encoding, expected in (("ascii", "\\u03b41 \\udcff.png\n"), ("utf-8", "δ1 \\udcff.png\n")):
        environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": encoding}
        done = subprocess.run(
            [sys.executable, "-c", script], cwd=ROOT, env=environment, capture_output=True, check=True
        )
        assert done.stdout.decode() == expected


def test_other_errors_are_not_taken_for_it() -> None:
    def fails() -> int:
        raise OSError(errno.ENOSPC, "No space left on device", "a.txt")

    with pytest.raises(OSError, match=r"a\.txt"):
        run_quietly("zdlib", fails)
    assert run_quietly("zdlib", lambda: 3) == 3


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_is_an_interrupt_with_a_status(number: signal.Signals) -> None:
    before = signal.signal(number, signal.SIG_DFL)
    try:
        with pytest.raises(Terminated) as stop, stop_signals():
            os.kill(os.getpid(), number)
        assert stop.value.status == 128 + number
        assert signal.getsignal(number) is signal.SIG_DFL
    finally:
        signal.signal(number, before)


def test_a_signal_that_is_ignored_stays_so() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stop_signals():
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)
