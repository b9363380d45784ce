"""Every parser under chance: a sound file with bytes changed, cut or moved is read, or refused in one line.

    ZD_FUZZ=50 pytest tests/test_fuzz.py        # fifty times as many tries, other ones each time

Nothing else may be raised, nothing may hang, and no memory beyond the table's in `test_attack` be taken.
"""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hostile
import pytest
import tiny_models  # noqa: F401  # the encoders
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_attack import bounded

from zdlib.data.check import check
from zdlib.data.formats.arrays import archived_arrays, read_array
from zdlib.data.formats.images import read_picture
from zdlib.data.formats.mat import read_mat5
from zdlib.data.pack import open_pack
from zdlib.data.sets.nyu import NYUReader, read_splits
from zdlib.errors import ZDError
from zdlib.files import read_json
from zdlib.gates.opening import read_text
from zdlib.gates.yaml_values import parse
from zdlib.models.checkpoints import load_checkpoint, read_pickle
from zdlib.train.resume import States

TIMES = int(os.environ.get("ZD_FUZZ", "1"))
PROFILE = Path(__file__).parents[1] / "profiles" / "demo.yaml"


def fuzz(examples: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Tries of one target; the same ones each time, unless more are asked for."""
    return settings(
        max_examples=examples * TIMES,
        deadline=None,
        derandomize=TIMES == 1,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


# What is done to a file: bytes set, a piece cut out, a piece repeated; places are shares of its length.
SHARE = st.floats(0, 1, exclude_max=True)
EDITS = st.lists(
    st.one_of(
        st.tuples(st.just("set"), SHARE, st.integers(0, 255)),
        st.tuples(st.just("flip"), SHARE, st.integers(0, 7)),
        st.tuples(st.just("cut"), SHARE, st.integers(1, 64)),
        st.tuples(st.just("repeat"), SHARE, st.integers(1, 64)),
        st.tuples(st.just("end"), SHARE, st.just(0)),
    ),
    min_size=1,
    max_size=12,
)


def edited(content: bytes, edits: list[tuple[str, float, int]], first: int) -> bytes:
    """`content` after some edits; half of them fall into its `first` bytes, where headers are."""
    data = bytearray(content)
    for number, (kind, share, value) in enumerate(edits):
        if not data:
            break
        place = int(share * (min(first, len(data)) if number % 2 else len(data)))
        if kind == "set":
            data[place] = value
        elif kind == "flip":
            data[place] ^= 1 << value
        elif kind == "cut":
            del data[place : place + value]
        elif kind == "repeat":
            data[place:place] = data[place : place + value]
        else:
            del data[place + 1 :]
    return bytes(data)


def refusal(read: Callable[[], Any]) -> str:
    """What is said where something is refused; nothing else may be raised."""
    with bounded():
        try:
            read()
        except ZDError as error:
            return str(error)
    return ""


def _state(path: Path) -> None:
    """A state of a training that is over before it begins."""
    folder = path.parent / f"{path.stem}.unfinished"
    states = States(folder)
    states.save(1, {"identity": {}, "progress": {}, "trainer": {}, "random": []}, None)
    path.write_bytes((folder / "state-00000001.pt").read_bytes())


def _read_state(path: Path) -> None:
    folder = path.parent / "read.unfinished"
    folder.mkdir(exist_ok=True)
    (folder / "state-00000001.pt").write_bytes(path.read_bytes())
    state = States(folder).load()
    assert state is not None
    assert state["identity"] == {}


def _read_nyu(path: Path) -> None:
    reader = NYUReader(path, "raw")
    for frame in range(len(reader)):
        reader[frame]


def _read_arrays(path: Path) -> None:
    for load in archived_arrays(path, "x").values():
        load()


def _read_yaml(path: Path) -> None:
    parse(read_text(path, "x"), path, "not valid YAML", "x")


# Parser: a sound file, what reads it, and how many tries.
TARGETS: dict[str, tuple[hostile.Write, Callable[[Path], Any], int]] = {
    "picture": (hostile.picture, lambda path: read_picture(path, "x", "RGB"), 80),
    "jpeg": (hostile._as("JPEG"), lambda path: read_picture(path, "x", "RGB"), 80),
    "webp": (hostile._as("WEBP"), lambda path: read_picture(path, "x", "RGB"), 80),
    "npy": (hostile.good_array, lambda path: read_array(path, "x"), 80),
    "npz": (hostile.good_archive, _read_arrays, 80),
    "hdf5": (hostile.nyu, _read_nyu, 40),
    "mat 5": (hostile.ibims(), lambda path: read_mat5(path, "x", "x"), 60),
    "splits": (hostile.splits(), lambda path: read_splits(path, 2), 60),
    "pack": (hostile.packed, lambda path: open_pack(path).check(), 30),
    "safetensors": (hostile.ours(), load_checkpoint, 30),
    "pickle": (hostile.official(), read_pickle, 30),
    "state": (_state, _read_state, 60),
    "yaml": (lambda path: path.write_bytes(PROFILE.read_bytes()), _read_yaml, 80),
    "json": (lambda path: path.write_text(json.dumps({"a": [1, 2.5, None], "b": {"c": "δ"}})), read_json, 80),
    "text": (
        lambda path: path.write_bytes("rgb/a.png depth/é.png\r\n".encode()),
        lambda path: read_text(path, "x"),
        80,
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
def test_a_parser_reads_or_refuses(name, tmp_path) -> None:
    write, read, examples = TARGETS[name]
    path = tmp_path / "sound"
    write(path)
    sound = path.read_bytes()
    read(path)

    @fuzz(examples)
    @given(EDITS)
    def attempt(edits: list[tuple[str, float, int]]) -> None:
        path.unlink()  # HDF5 takes a file that it has open for the old one
        path.write_bytes(edited(sound, edits, 512))
        said = refusal(lambda: read(path))
        assert "\n" not in said
        assert len(said) < 1_500

    attempt()


@pytest.mark.slow
def test_yaml_that_is_made_up(tmp_path) -> None:
    pieces = st.sampled_from(
        [*hostile.VALUES.values(), "a: ", "\n", "  ", "- ", "&a ", "*a", "<<: ", "{", "}", "[", "]", ", "]
    )

    @fuzz(150)
    @given(st.lists(pieces, max_size=12))
    def attempt(parts: list[str]) -> None:
        assert "\n" not in refusal(lambda: parse("".join(parts)[:60_000], "a.yaml", "not valid YAML", "x"))

    attempt()


@pytest.mark.slow
def test_a_copy_s_check_never_breaks(tmp_path) -> None:
    """`data check` tells of any damage and goes on."""
    path = tmp_path / "x.mat"
    hostile.nyu(path)
    sound = path.read_bytes()

    @fuzz(20)
    @given(EDITS)
    def attempt(edits: list[tuple[str, float, int]]) -> None:
        path.unlink()
        path.write_bytes(edited(sound, edits, 2048))
        with bounded():
            assert check("nyu", path).text()

    attempt()
