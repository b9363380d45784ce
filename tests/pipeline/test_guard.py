"""A step is known while it runs, and does not outlive its run."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from zdlib.errors import ZDError
from zdlib.pipeline import notebook, run
from zdlib.pipeline.guard import guarded, running_steps

ROOT = Path(__file__).resolve().parents[2]
STEP = """
import sys
from pathlib import Path
from time import sleep
from zdlib.pipeline.guard import guarded
root = Path(sys.argv[1])
try:
    with guarded(root, "03_training"):
        (root / "began").write_text("")
        sleep(300)
except KeyboardInterrupt:
    (root / "interrupted").write_text("")
"""


def wait_for(condition, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def test_a_step_is_known_while_it_runs(tmp_path: Path) -> None:
    child = os.fork()
    if not child:
        with guarded(tmp_path, "03_training"):
            time.sleep(300)
    wait_for(lambda: running_steps(tmp_path))
    assert running_steps(tmp_path) == {child: "03_training"}
    with pytest.raises(ZDError, match=rf"step 03_training of a killed run still ends \(process {child}\)"):
        run._refuse_orphans(tmp_path, 0.1)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    run._refuse_orphans(tmp_path, 0.1)
    assert running_steps(tmp_path) == {}
    assert not list(tmp_path.rglob("*.03_training")), "the mark of a killed step is removed"


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="the system does not tell")
def test_a_step_ends_when_a_process_above_it_is_killed(tmp_path: Path) -> None:
    """As under Snakemake: run > a process that is killed > a shell > the step."""
    shell = f"{sys.executable} -c 'import sys; exec(sys.stdin.read())' {tmp_path} <{tmp_path}/step.py; true"
    (tmp_path / "step.py").write_text(STEP)
    above = f"import subprocess; subprocess.run(['bash', '-c', {shell!r}])"
    environment = os.environ | {"PYTHONPATH": str(ROOT), "ZD_RUN": str(os.getpid())}
    process = subprocess.Popen([sys.executable, "-c", above], env=environment, cwd=ROOT, start_new_session=True)
    wait_for(lambda: (tmp_path / "began").exists())
    process.kill()
    process.wait()
    wait_for(lambda: (tmp_path / "interrupted").exists(), 20)
    wait_for(lambda: not running_steps(tmp_path))


def test_scratch_folders_of_killed_processes_are_swept(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(notebook.tempfile, "gettempdir", lambda: str(tmp_path))
    child = os.fork()
    if not child:
        os._exit(0)
    os.waitpid(child, 0)
    for name in (f"zdlib-kernel-{child}-abc", f"zdlib-kernel-{os.getpid()}-abc", "zdlib-kernel-abc", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "kernel.json").write_text("")
    (tmp_path / f"zdlib-kernel-{child}-link").symlink_to(tmp_path / "other")
    notebook._sweep()
    kept = {path.name for path in tmp_path.iterdir()}
    assert kept == {f"zdlib-kernel-{os.getpid()}-abc", "zdlib-kernel-abc", "other", f"zdlib-kernel-{child}-link"}


@pytest.mark.parametrize("jobs", [1, 2, 5])
def test_a_step_s_threads_do_not_depend_on_what_runs_beside_it(tmp_path, monkeypatch, jobs) -> None:
    given = {}

    class Recorder(subprocess.Popen):
        pid = 1

        def __init__(self, command: list[str], env: dict[str, str], **options: object):
            given.update(env)

        def wait(self) -> int:
            return 0

    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(run.subprocess, "Popen", Recorder)
    monkeypatch.setattr(run, "_log", lambda layout: tmp_path / "log")
    with open(tmp_path / "lock", "a+") as lock:
        assert run._snakemake(run.Layout("smoke"), jobs, [], lock) == 0
        assert lock.seek(0) == 0
        assert lock.read().split() == [str(os.getpid()), "1"]
    assert given["ZD_THREADS"] == "1"
    assert given["ZD_RUN"] == str(os.getpid())
