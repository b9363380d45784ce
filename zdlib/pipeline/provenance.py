"""Where a result comes from: commit, profile, parameters, inputs, package versions, hardware, time and memory.

One JSON file per step, written beside the results when the step has succeeded. Nothing in it is ever an input of
another step: seconds and commits differ from run to run, results must not. A result that was carried over to changed
code (`zdlib.pipeline.committed`) has a list `carried`: at which commit, why, and which command showed that it stands.
"""

import json
import os
import platform
import resource
import subprocess
import sys
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from zdlib.errors import ZDError
from zdlib.files import sha256, write_json

MEBIBYTE = 1024**2


def git_state(root: Path) -> dict[str, Any]:
    """Commit (40 digits) and whether the sources differ from it; both None outside a git checkout.

    `results/` and `figures/` do not count as sources: a run that rewrites the committed reference is not dirty.
    """
    commit = _git(root, "rev-parse", "HEAD")
    if commit is None:
        return {"commit": None, "dirty": None}
    changes = _git(root, "status", "--porcelain", "--", ".", ":(exclude)results", ":(exclude)figures")
    return {"commit": commit, "dirty": bool(changes)}


def hardware() -> dict[str, Any]:
    """CPU model, usable cores, RAM in GiB, GPU names, operating system and Python version."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpu": _cpu_model(),
        "cores": cores,
        "ram_gib": round(memory / 1024**3, 1),
        "gpus": _gpus(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def peak_memory_mib() -> int:
    """Largest resident set, in MiB, that any one child process waited for so far has had (kernel or data worker)."""
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return round(peak * (1 if sys.platform == "darwin" else 1024) / MEBIBYTE)


class HashCache:
    """SHA-256 of files, remembered by path, size and modification time, so that gigabytes are read once.

    A cache that cannot be read is started afresh; one that cannot be written is done without.
    """

    def __init__(self, path: Path):
        self._path = path
        self._lock = threading.Lock()
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            self._known: dict[str, list[Any]] = content if isinstance(content, dict) else {}
        except (OSError, ValueError):
            self._known = {}

    def sha256(self, path: Path) -> str:
        """Hash of one file's content."""
        stat = path.stat()
        key, stamp = str(path), [stat.st_size, stat.st_mtime_ns]
        with self._lock:
            if self._known.get(key, [None])[:-1] != stamp:
                self._known[key] = [*stamp, sha256(path)]
            return str(self._known[key][-1])

    def save(self) -> None:
        """Write the cache."""
        try:
            write_json(self._path, self._known)
        except ZDError:
            return


def hash_files(paths: Iterable[Path], root: Path, cache: HashCache) -> dict[str, str]:
    """{path relative to `root` where it is inside: SHA-256}, sorted; what is not a file is left out."""
    hashes = {}
    for path in sorted(set(paths)):
        full = root / path
        if full.is_file():
            name = full.relative_to(root) if full.is_relative_to(root) else full
            hashes[name.as_posix()] = cache.sha256(full)
    cache.save()
    return hashes


def _git(root: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=True, timeout=60)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _gpus() -> list[str]:
    """Names that the NVIDIA driver's own tool gives; torch is not asked, to keep this module light."""
    try:
        command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return []
    return [line.strip() for line in done.stdout.splitlines() if line.strip()]
