"""run_all.sh: options, finding Python, making the environment once. A stand-in for Python records what it is asked."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from zdlib.apps.demo.server import GRADIO

ROOT = Path(__file__).resolve().parent.parent
TOOLS = ("bash", "cat", "cksum", "dirname", "env", "sed", "rm")
# Answers like a Python 3.11 or later, makes a .venv with itself in it, and records installations and commands.
STAND_IN = """#!/usr/bin/env bash
case "$*" in
    *--version) echo "Python 3.12.0" ;;
    "-m venv "*) mkdir -p .venv/bin && cp "$0" .venv/bin/python && echo "venv" >>calls ;;
    "-m pip "*) echo "${*:3}" >>calls; exit "${PIP_STATUS:-0}" ;;
    "-c "*) exit "${PYTHON_STATUS:-0}" ;;
    *) echo "$*" >>calls ;;
esac
"""
INSTALL = [
    "install --disable-pip-version-check --editable .[test,demo]",
    f"install --disable-pip-version-check --no-deps gradio=={GRADIO}",
]
CODE_CHECKS = ["-m ruff check .", "-m ruff format --check .", "-m mypy"]
PYTEST = "-m pytest --numprocesses logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "my paper"
    folder.mkdir()
    for name in ("run_all.sh", "pyproject.toml", "environment.yml"):
        shutil.copy(ROOT / name, folder / name)
    (folder / "python").write_text(STAND_IN)
    (folder / "python").chmod(0o755)
    return folder


def run(folder: Path, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Call run_all.sh from another folder."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("CONDA_")}
    return subprocess.run(
        [str(folder / "run_all.sh"), *options],
        cwd="/",
        env=kept | {"ZD_PYTHON": str(folder / "python")} | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def calls(folder: Path) -> list[str]:
    """What the stand-in was asked for since the last look."""
    lines = (folder / "calls").read_text().splitlines() if (folder / "calls").exists() else []
    (folder / "calls").unlink(missing_ok=True)
    return lines


def test_first_call_makes_the_environment_and_the_second_does_not(checkout: Path) -> None:
    assert run(checkout).returncode == 0
    assert calls(checkout) == ["venv", *INSTALL, "-m zdlib.pipeline run --profile demo"]
    assert run(checkout, "--profile", "smoke", "--jobs=2", "--force", "03").returncode == 0
    assert calls(checkout) == ["-m zdlib.pipeline run --profile smoke --jobs 2 --force 03"]
    assert run(checkout, "--status", "--profile=paper").returncode == 0
    assert calls(checkout) == ["-m zdlib.pipeline status --profile paper"]


def test_an_installation_that_failed_is_done_again(checkout: Path) -> None:
    failed = run(checkout, PIP_STATUS="1")
    assert failed.returncode == 2
    assert "installation failed" in failed.stderr
    assert calls(checkout) == ["venv", INSTALL[0]]
    assert run(checkout).returncode == 0
    assert calls(checkout) == [*INSTALL, "-m zdlib.pipeline run --profile demo"]


@pytest.mark.parametrize("changed", ["pins", "place"])
def test_changed_pins_and_a_moved_checkout_are_installed_again(checkout: Path, changed: str) -> None:
    run(checkout)
    calls(checkout)
    if changed == "pins":
        with open(checkout / "pyproject.toml", "a", encoding="utf-8") as file:
            file.write("# another pin\n")
    else:
        checkout = checkout.rename(checkout.parent / "moved paper")
    assert run(checkout).returncode == 0
    assert calls(checkout) == [*INSTALL, "-m zdlib.pipeline run --profile demo"]


def test_the_active_conda_environment_is_used_if_it_is_ours(checkout: Path) -> None:
    (checkout / "conda" / "bin").mkdir(parents=True)
    shutil.copy(checkout / "python", checkout / "conda" / "bin" / "python")
    ours = {"CONDA_DEFAULT_ENV": "zdlib", "CONDA_PREFIX": str(checkout / "conda")}
    assert run(checkout, **ours).returncode == 0
    assert calls(checkout) == ["-m zdlib.pipeline run --profile demo"]
    lacking = run(checkout, **ours, PYTHON_STATUS="1")
    assert lacking.returncode == 2
    assert "conda env update --file environment.yml" in lacking.stderr
    assert run(checkout, **(ours | {"CONDA_DEFAULT_ENV": "base"})).returncode == 0
    assert calls(checkout)[0] == "venv"


def test_tests_run_in_order_and_the_first_failure_ends_them(checkout: Path) -> None:
    assert run(checkout, "--test").returncode == 0
    # There are none in this checkout, so the patterns stay; the front page runs after what it states.
    patterns = [f"notebooks/{numbers}_*.ipynb" for numbers in ("0[1-9]", "[1-8][0-9]", "00", "99")]
    notebooks = " ".join(["-m pytest -c tests/notebooks/pytest.ini --rootdir .", *patterns])
    assert calls(checkout)[3:] == [*CODE_CHECKS, PYTEST, notebooks]
    python = checkout / ".venv" / "bin" / "python"
    python.write_text(python.read_text().replace('*) echo "$*" >>calls', '*mypy) exit 1 ;;\n    *) echo "$*" >>calls'))
    assert run(checkout, "--test").returncode == 1
    assert calls(checkout) == ["-m ruff check .", "-m ruff format --check ."]


@pytest.mark.parametrize("options", [["--test", "fast"], ["--test=fast"]])
def test_fast_tests_leave_out_slow_ones_and_notebooks(checkout: Path, options: list[str]) -> None:
    assert run(checkout, *options).returncode == 0
    assert calls(checkout)[3:] == [*CODE_CHECKS, f"{PYTEST} -m not slow"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--profil", "demo"], "unknown option --profil: ./run_all.sh --help"),
        (["--profile"], "--profile needs a value: ./run_all.sh --help"),
        (["--jobs", "x"], "--jobs x: give a whole number from 1 on"),
        (["--jobs=0"], "--jobs 0: give a whole number from 1 on"),
        (["--test", "--force", "03"], "--test does not go with --force: ./run_all.sh --help"),
        (["--test", "quick"], "unknown option quick: ./run_all.sh --help"),
    ],
)
def test_a_wrong_option_is_one_line(checkout: Path, options: list[str], message: str) -> None:
    done = run(checkout, *options)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"error: {message}\n")
    assert calls(checkout) == []


def test_help_makes_nothing(checkout: Path) -> None:
    done = run(checkout, "--help")
    assert done.returncode == 0
    for option in ("--profile", "--jobs", "--force", "--status", "--dry-run", "--test", "--test fast", "ZD_DATA"):
        assert option in done.stdout
    assert not (checkout / ".venv").exists()


def test_without_a_python_that_is_said(checkout: Path, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    for tool in TOOLS:
        (tmp_path / "bin" / tool).symlink_to(str(shutil.which(tool)))
    done = run(checkout, PATH=str(tmp_path / "bin"), ZD_PYTHON="")
    assert done.returncode == 2
    assert done.stderr.startswith("error: no Python 3.11 or later found: install one")
    assert done.stderr.count("\n") == 1
