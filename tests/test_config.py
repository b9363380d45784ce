"""Profiles are typed: a typo is an error that names the nearest known key."""

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from zdlib.config import load_profile
from zdlib.errors import ZDError
from zdlib.recipes import RECIPES, differences

ROOT = Path(__file__).resolve().parent.parent


def content() -> dict[str, Any]:
    return dict(yaml.safe_load((ROOT / "profiles" / "demo.yaml").read_text())) | {"name": "mine"}


def load(folder: Path, values: object) -> Any:
    (folder / "profiles").mkdir(exist_ok=True)
    (folder / "profiles" / "mine.yaml").write_text(values if isinstance(values, str) else yaml.safe_dump(values))
    return load_profile("mine", folder)


def test_a_profile_reads_back_as_written(tmp_path: Path) -> None:
    profile = load(tmp_path, content())
    assert profile.train.lr == 2e-3
    assert profile.model.input_size == (192, 256)
    assert profile.runs["control"].seg_weight == 0
    assert profile.runs["distill"].settings is RECIPES["corrected"]


def test_a_profile_cannot_be_changed_afterwards(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="frozen"):
        load(tmp_path, content()).train.lr = 1.0


def test_unstated_values_are_the_paper_s() -> None:
    train = load_profile("paper", ROOT).train
    assert (train.epochs, train.batch_size, train.lr) == (15, 3, 1.61e-4)
    assert (train.encoder_lr_factor, train.weight_decay, train.clip_grad_norm) == (10, 0.01, 0.1)


@pytest.mark.parametrize(
    ("section", "key", "message"),
    [
        (None, "trian", "unknown key trian: did you mean train?"),
        ("train", "epoch", "unknown key train.epoch: did you mean epochs?"),
        ("model", "decoder_chanels", "unknown key model.decoder_chanels: did you mean decoder_channels?"),
        ("evaluate", "flips", "unknown key evaluate.flips: did you mean flip?"),
    ],
)
def test_an_unknown_key_names_the_nearest(tmp_path: Path, section: str | None, key: str, message: str) -> None:
    values = content()
    (values if section is None else values.setdefault(section, {}))[key] = 1
    with pytest.raises(ZDError, match=r"mine\.yaml: ") as caught:
        load(tmp_path, values)
    assert message in str(caught.value)
    assert "Known keys here: " in str(caught.value)


def test_an_unknown_key_of_a_run_names_the_nearest(tmp_path: Path) -> None:
    values = content()
    values["runs"]["distill"]["seg_wieght"] = 1
    with pytest.raises(ZDError, match=r"unknown key runs\.distill\.seg_wieght: did you mean seg_weight\?"):
        load(tmp_path, values)


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("train", "epochs", 0),
        ("train", "epochs", "many"),
        ("train", "lr", -1),
        ("train", "validation_fraction", 1.0),
        ("model", "input_size", [192]),
        ("train", "precision", "fp8"),
    ],
)
def test_a_wrong_value_is_named(tmp_path: Path, section: str, key: str, value: object) -> None:
    values = content()
    values[section][key] = value
    with pytest.raises(ZDError, match=rf"mine\.yaml: {section}\.{key}"):
        load(tmp_path, values)


def test_no_runs_and_a_missing_section_are_errors(tmp_path: Path) -> None:
    with pytest.raises(ZDError, match=r"mine\.yaml: runs: "):
        load(tmp_path, content() | {"runs": {}})
    with pytest.raises(ZDError, match=r"mine\.yaml: runs: no run has a seg_weight above 0"):
        load(tmp_path, content() | {"runs": {"control": {"title": "control", "seg_weight": 0}}})
    values = content()
    del values["model"]
    with pytest.raises(ZDError, match=r"mine\.yaml: model: field required"):
        load(tmp_path, values)


@pytest.mark.parametrize(
    ("text", "message"), [("", "empty or not a mapping"), ("- a", "not a mapping"), ("a: [", "not valid YAML")]
)
def test_what_is_not_a_profile_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ZDError, match=rf"mine\.yaml: .*{message}"):
        load(tmp_path, text)


def test_an_unknown_profile_lists_the_known_ones() -> None:
    with pytest.raises(
        ZDError, match=r"dmeo\.yaml: no such profile: choose one of demo, paper, paper_study, smoke, study"
    ):
        load_profile("dmeo", ROOT)


def test_the_name_inside_is_that_of_the_file(tmp_path: Path) -> None:
    with pytest.raises(ZDError, match="its name is 'demo': make it 'mine'"):
        load(tmp_path, content() | {"name": "demo"})


def test_the_recipes_differ_where_the_original_went_wrong() -> None:
    rows = differences().set_index("setting")
    assert rows.loc["metres_per_unit"].tolist() == [1000.0, 1.0]
    assert rows.loc["split"].tolist() == ["contiguous", "official"]
    assert rows.loc["void"].tolist() == ["class", "ignore"]
    assert "max_depth" not in rows.index


def test_changes_take_the_place_of_the_files_values():
    changed = load_profile("smoke", changes=["train.lr=2e-3", "runs.control.seed=7", "model.input_size=[64, 96]"])
    assert (changed.train.lr, changed.runs["control"].seed, changed.model.input_size) == (0.002, 7, (64, 96))
    assert changed.runs["distill"] == load_profile("smoke").runs["distill"]


@pytest.mark.parametrize("change", ["lr", "train=3", "train.=3", "name.first=x", "=3", "train.lr: 3"])
def test_what_is_no_change_is_named(change):
    with pytest.raises(ZDError, match=f"^--set {change}: not a change of a profile: write section.key=value"):
        load_profile("smoke", changes=[change])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["train.lr=-1"], "^--set train.lr=-1: train.lr: input should be greater than 0"),
        (["train.epochs=2", "model.input_size=[0, 64]"], r"^--set model.input_size=\[0, 64\]: model.input_size.0: "),
        (["train.rate=1"], "^--set train.rate=1: unknown key train.rate: did you mean"),
        (["train.lr=-1", "train.lr=-2"], "^--set train.lr=-2: "),
    ],
)
def test_a_wrong_value_names_the_change_it_comes_from(changes, message):
    with pytest.raises(ZDError, match=message):
        load_profile("smoke", changes=changes)


def test_a_wrong_value_of_the_file_names_the_file(tmp_path):
    (tmp_path / "profiles").mkdir()
    for name in ("demo", "smoke"):
        shutil.copy(ROOT / f"profiles/{name}.yaml", tmp_path / "profiles")
    text = (ROOT / "profiles/smoke.yaml").read_text()
    (tmp_path / "profiles/smoke.yaml").write_text(re.sub("epochs: .*", "epochs: 0", text))
    with pytest.raises(ZDError, match=r"smoke.yaml: train.epochs: input should be greater than 0"):
        load_profile("smoke", tmp_path, ["train.lr=1e-3"])


def test_a_value_that_is_not_yaml_is_named():
    with pytest.raises(ZDError, match="not a YAML value"):
        load_profile("smoke", changes=["train.lr=["])
