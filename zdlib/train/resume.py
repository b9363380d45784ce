"""Training that can be stopped, killed and continued: what identifies a run, its states on disk, and stop signals.

While a run is under way, `<run>.unfinished/` holds its last states and best weights. When it has ended,
`<run>_training.json` says what the run was made from and the hashes of what it wrote.
"""

import hashlib
import random
import re
import shutil
import signal
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, Literal

import numpy as np
import torch

from zdlib.config import Profile
from zdlib.data.registry import data_set
from zdlib.errors import ZDError
from zdlib.files import atomic_path, content_sha256, read_json, sha256, write_json
from zdlib.gates.opening import explained, open_regular, reason
from zdlib.paths import resolve
from zdlib.source_closure import LIBRARY_ROOT, fingerprints, packages
from zdlib.train.method import method_file

Start = Literal["auto", "resume", "fresh"]
KEPT_STATES = 2
_STATE = re.compile(r"state-\d{8,}\.pt")
_SEAL = b"\nzdlib state sha256 "  # and 64 digits end the file of a state; torch's reader does not look there
_AGAIN = "the same command goes on from the state before"
# Settings of `train`, and a module, that have no influence on any number.
WITHOUT_INFLUENCE = {"workers", "save_minutes"}
VIEW = LIBRARY_ROOT / "zdlib" / "train" / "progress.py"
LOOP = LIBRARY_ROOT / "zdlib" / "train" / "run.py"


# -------------------------------------------------------------------------------------------------------- identity
def identity(profile: Profile, run_name: str, machine: Mapping[str, Any]) -> dict[str, str]:
    """All that decides a run's weights, as {dotted name: value}.

    The profile's model and training settings, the run and its recipe, the content of the data files, what the code of
    the loop and of the run's method does, and all that they import, the versions of the packages these import, and
    what the machine adds.

    Args:
        profile: its sections.
        run_name: the key in `runs`.
        machine: resolved precision, number of processes, device type.
    """
    run = profile.runs[run_name]
    sources = [LOOP, method_file(run.method)]
    recipe = run.settings.model_dump(mode="json")
    settings = {
        "profile": profile.name,
        "run": {"name": run_name, **run.model_dump(mode="json", exclude={"start_from"}), "settings": recipe},
        "model": profile.model.model_dump(mode="json"),
        "train": profile.train.model_dump(mode="json", exclude=WITHOUT_INFLUENCE),
        "machine": dict(machine),
    }
    files: dict[str, str] = {}
    for number, entry in enumerate(profile.data.train):
        place = f"data.train.{number}"
        # Of what is named by a path the content counts; a pack repeats its `.mat`, or it is refused.
        settings[place] = entry.model_dump(mode="json", exclude={*entry.files, "packs"})
        files |= {f"{place}.{key}": path for key, path in entry.files.items()}
    if run.start_from is not None:
        files["run.start_from"] = run.start_from
    if profile.model.encoder_weights not in ("none", "packaged"):
        files["model.encoder_weights"] = profile.model.encoder_weights
    sources = [*sources, *(LIBRARY_ROOT / data_set(entry.set).file for entry in profile.data.train)]
    return {
        **_flat(settings),
        **{f"content of {key}": content_sha256(resolve(path)) for key, path in files.items() if resolve(path).exists()},
        **{f"source {path}": digest for path, digest in fingerprints(sources, LIBRARY_ROOT, [VIEW]).items()},
        **{f"package {name}": version for name, version in packages(sources, LIBRARY_ROOT, [VIEW]).items()},
    }


def first_difference(now: Mapping[str, str], before: Mapping[str, str]) -> str | None:
    """`name is X, was Y` of the first entry in which two identities differ; None if they are equal."""
    for name in [*now, *before]:
        if now.get(name) != before.get(name):
            return f"{name} is {_short(now.get(name))}, was {_short(before.get(name))}"
    return None


def _short(value: str | None) -> str:
    return "absent" if value is None else value[:12] if len(value) == 64 else value


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for key, value in values.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": str(value)}
    return flat


# ------------------------------------------------------------------------------------------------- a finished run
def mark_finished(record: Path, identity: Mapping[str, str], outputs: Sequence[Path]) -> None:
    """Record that these files are what the run of this identity gives."""
    write_json(record, {"identity": dict(identity), "outputs": {path.name: sha256(path) for path in outputs}})


def is_finished(record: Path, identity: Mapping[str, str]) -> bool:
    """Whether the run of this identity has ended here and its files are as it left them."""
    if not record.is_file():
        return False
    try:
        content = read_json(record)
        files = {record.parent / name: digest for name, digest in content["outputs"].items()}
        same = first_difference(identity, content["identity"]) is None
    except (ZDError, KeyError, TypeError, AttributeError):  # no such record: whoever trains writes a new one
        return False
    return same and all(path.is_file() and sha256(path) == digest for path, digest in files.items())


# --------------------------------------------------------------------------------------------- states on the disk
class States:
    """The folder of an unfinished run: its last `KEPT_STATES` states, and the best weights that each of them knows.

    A state is a nested dictionary of tensors, numbers and text: it is read without running code (`weights_only`).
    Files are written whole or not at all. Best weights carry their step in the name, so that a state never meets those
    of a later, lost, stretch of training. A state ends with the SHA-256 of what is before, and holds that of its best
    weights: one that was damaged since is not used, the one before it is as good.

    Attributes:
        damaged: states that `load` has passed over, with the reason.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.damaged: list[str] = []
        self._best_of: dict[int, int | None] = {}  # kept state → step of its best weights
        self._digests: dict[int, str] = {}  # step → SHA-256 of the best weights of that step

    def best(self, step: int) -> Path:
        """Where the weights that scored best at `step` are."""
        return self.folder / f"best-{step:08d}.safetensors"

    def sealed(self, step: int) -> None:
        """Tell that the best weights of `step` have just been written."""
        self._digests[step] = sha256(self.best(step))

    def copy_best(self, step: int, target: Path) -> None:
        """Copy the best weights of `step`.

        Raises:
            ZDError: they are no longer what was written.
        """
        try:
            shutil.copyfile(self.best(step), target)
        except FileNotFoundError as error:
            raise ZDError(f"{self.best(step)}: is gone: {_AGAIN}") from error
        if step in self._digests and sha256(target) != self._digests[step]:
            raise ZDError(f"{self.best(step)}: damaged since it was written: {_AGAIN}")

    def save(self, step: int, state: Mapping[str, Any], best_step: int | None) -> None:
        """Write a state, then remove what no kept state needs.

        Raises:
            ZDError: the disk is full or cannot be written; the states before are untouched.
        """
        if best_step is not None and best_step not in self._digests:
            self.sealed(best_step)
        best = {"best_step": best_step, "best_sha256": None if best_step is None else self._digests[best_step]}
        with atomic_path(self._state(step)) as temporary:
            try:
                torch.save({**state, **best}, temporary)
            except RuntimeError as error:  # torch's writer does not say why
                raise ZDError(f"{self.folder}: a state cannot be written ({reason(error)}): free space") from error
            seal = _SEAL + sha256(temporary).encode()
            with open(temporary, "ab") as file:
                file.write(seal)
        self._best_of[step] = best_step
        self._best_of = dict(sorted(self._best_of.items())[-KEPT_STATES:])
        self._tidy()

    def load(self) -> dict[str, Any] | None:
        """The last state that is as it was written, or None; all that is not part of it is removed.

        Raises:
            ZDError: there are states, but none is sound.
        """
        states = sorted((path for path in self.folder.glob("state-*.pt") if _STATE.fullmatch(path.name)), reverse=True)
        for path in states:
            try:
                state = self._sound(path)
            except ZDError as error:
                self.damaged.append(str(error))
                continue
            step = int(path.stem.split("-")[1])
            self._best_of = {step: state["best_step"]}
            if state["best_step"] is not None and state.get("best_sha256"):
                self._digests[state["best_step"]] = state["best_sha256"]
            self._tidy()
            return state
        if states:
            raise ZDError(f"{states[0]}: damaged, like all states before it: train afresh (ZD_TRAIN=fresh)")
        return None

    def set_aside(self) -> Path:
        """Rename the folder: its states are neither used nor lost (those set aside before are). Returns the new one."""
        aside = self.folder.with_suffix(".abandoned")
        shutil.rmtree(aside, ignore_errors=True)
        self._best_of = {}
        return self.folder.rename(aside)

    def clear(self) -> None:
        """Forget everything."""
        self._best_of = {}
        shutil.rmtree(self.folder, ignore_errors=True)

    def _state(self, step: int) -> Path:
        return self.folder / f"state-{step:08d}.pt"

    def _sound(self, path: Path) -> dict[str, Any]:
        """The state of a file whose checksum is right, and whose best weights are there and have theirs.

        Raises:
            ZDError: it is not.
        """
        with open_regular(path, _AGAIN) as file, explained(path, "damaged", _AGAIN):
            size = max(file.seek(0, 2) - len(_SEAL) - 64, 0)
            file.seek(0)
            digest = hashlib.sha256()
            while part := file.read(min(1 << 22, size - file.tell())):
                digest.update(part)
            if file.read() != _SEAL + digest.hexdigest().encode():
                raise ValueError("its SHA-256 does not match")
            file.seek(0)
            state = torch.load(file, map_location="cpu", weights_only=True)
            if not isinstance(state, dict) or "best_step" not in state:
                raise ValueError("it is no state of a training")
            best, expected = state["best_step"], state.get("best_sha256")
            if best is not None and (not self.best(best).is_file() or sha256(self.best(best)) != expected):
                raise ValueError(f"its best weights, {self.best(best).name}, are not those it was saved with")
            return state

    def _tidy(self) -> None:
        """Remove other states, the best weights of none, and what a killed writer left."""
        wanted = {self._state(step) for step in self._best_of}
        wanted |= {self.best(step) for step in self._best_of.values() if step is not None}
        for path in self.folder.iterdir():
            if path in wanted:
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)  # every process of a run tidies up


# ------------------------------------------------------------------------------------------------- random numbers
def random_state() -> dict[str, Any]:
    """The state of all global generators: Python's, NumPy's, torch's and CUDA's."""
    _, keys, position, has_gauss, gauss = np.random.get_state()  # noqa: NPY002
    return {
        "python": random.getstate(),
        "numpy": [torch.from_numpy(np.array(keys)), int(position), int(has_gauss), float(gauss)],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def restore_random_state(state: Mapping[str, Any]) -> None:
    """Put all global generators back where `random_state` found them."""
    version, numbers, gauss = state["python"]
    random.setstate((version, tuple(numbers), gauss))
    keys, *rest = state["numpy"]
    np.random.set_state(("MT19937", keys.numpy(), *rest))  # noqa: NPY002
    torch.set_rng_state(state["torch"])
    if state["cuda"]:
        torch.cuda.set_rng_state_all(state["cuda"])


# --------------------------------------------------------------------------------------------------------- signals
class Stopped(KeyboardInterrupt):
    """Training was asked to stop and did, with its state saved. `status` is the exit status by the shell's custom."""

    def __init__(self, message: str, number: int):
        super().__init__(message)
        self.status = 128 + number


class StopSignals:
    """Within this context SIGINT (Ctrl-C), SIGTERM and SIGHUP are remembered in `number`; a second Ctrl-C is obeyed.

    Outside the main thread, where Python cannot, nothing is caught.
    """

    def __init__(self) -> None:
        self.number = 0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "StopSignals":
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                if signal.getsignal(number) is signal.SIG_IGN and number == signal.SIGHUP:
                    continue  # nohup
                self._before[number] = signal.signal(number, self._remember)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _remember(self, number: int, frame: FrameType | None) -> None:
        if self.number and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.number = self.number or number


# ------------------------------------------------------------------------------------------------------ when to save
class SaveClock:
    """When the next state is due: after so many minutes, or later, so that saving takes less than 2 % of the time."""

    def __init__(self, minutes: float):
        self._least = 60 * minutes
        self._wait = self._least
        self._last = time.monotonic()

    @property
    def due(self) -> bool:
        """Whether it is time."""
        return time.monotonic() - self._last >= self._wait

    def saved(self, started: float) -> None:
        """Tell that a state has just been written, and when that began (`time.monotonic()`)."""
        self._last = time.monotonic()
        self._wait = max(self._least, 50 * (self._last - started)) if self._least else 0.0  # 0: after every step
