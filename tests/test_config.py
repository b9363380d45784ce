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
    names = ", ".join(sorted(path.stem for path in (ROOT / "profiles").glob("*.yaml")))
    with pytest.raises(ZDError, match=rf"dmeo\.yaml: no such profile: choose one of {names}"):
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


# ------------------------------------------------------------------------------------------------------ data by list
FOLDER = {"set": "folder", "root": "pictures"}


@pytest.mark.parametrize(
    ("part", "entry", "message"),
    [
        ("train", {"root": "x"}, r"data\.train\.0: names no data set: add set, one of nyu, folder, ibims, "),
        (
            "train",
            FOLDER | {"set": "foldr"},
            r"data\.train\.0: no data set foldr: did you mean folder\? Known data s",
        ),
        ("train", {"set": "nyu"}, r"data\.train\.0\.root: field required"),
        (
            "train",
            FOLDER | {"metre_per_unit": 1},
            r"unknown key data\.train\.0\.metre_per_unit: did you mean metres_per_unit\? Known keys here: root, ",
        ),
        ("train", {"set": "ibims", "root": "x", "metres_per_unit": 1}, r"unknown key data\.train\.0\.metres_per_unit"),
        (
            "train",
            FOLDER | {"split": {"shares": 0.2}},
            r"unknown key data\.train\.0\.split\.shares: did you mean shar",
        ),
        ("train", FOLDER | {"split": {"share": 1}}, r"data\.train\.0\.split\.share: input should be less than 1"),
        ("train", FOLDER | {"split": {}}, r"data\.train\.0\.split: a split has exactly one of file, scenes and share"),
        ("train", FOLDER | {"protocol": "nyu/standard"}, "pictures: a protocol belongs to a test"),
        ("tests", FOLDER, "pictures: name the protocol whose pixel rules apply"),
        ("tests", FOLDER | {"protocol": "nyu/standard", "size": [2, 2]}, "a test is judged at its own size"),
    ],
)
def test_a_data_set_that_is_not_right_is_named(tmp_path: Path, part: str, entry: object, message: str) -> None:
    with pytest.raises(ZDError, match=rf"^[^\n]*mine\.yaml: .*{message}"):
        load(tmp_path, content() | {"data": {part: [entry]}})


def test_a_change_reaches_into_the_list() -> None:
    assert load_profile("demo", changes=["data.train.0.name=x"]).data.train[0].title == "x"
    with pytest.raises(ZDError, match=r"^--set data\.train\.0\.nam=x: unknown key data\.train\.0\.nam: did you m"):
        load_profile("demo", changes=["data.train.0.nam=x"])
    with pytest.raises(ZDError, match=r"^--set data\.train\.7\.name=x: not a change"):
        load_profile("demo", changes=["data.train.7.name=x"])


def test_the_rooms_are_written_where_the_profile_says() -> None:
    assert load_profile("study").data.embedded_files == (
        "results/study/data/rooms_n.mat",
        "results/study/data/splits.mat",
        "results/study/data/rooms_i",
    )


# ------------------------------------------------------------------------------------------------------------ extends
def write(folder: Path, **profiles: dict[str, Any]) -> None:
    (folder / "profiles").mkdir(exist_ok=True)
    for name, values in profiles.items():
        (folder / "profiles" / f"{name}.yaml").write_text(yaml.safe_dump({"name": name} | values))


def test_a_profile_extends_another_mapping_by_mapping(tmp_path: Path) -> None:
    base = {key: value for key, value in content().items() if key != "name"}
    write(tmp_path, base=base, middle={"extends": "base", "train": {"epochs": 2}, "model": {"input_size": [64, 64]}})
    only_control = {"distill": None, "published": None}
    write(tmp_path, top={"extends": "middle", "train": {"lr": 1e-3}, "runs": only_control, "study": None})
    top, untouched = (load_profile(name, tmp_path) for name in ("middle", "base"))
    assert (top.train.epochs, top.train.lr) == (2, untouched.train.lr)
    assert top.model.input_size == (64, 64), "a list replaces a list"
    assert top.data.nyu.root == "results/middle/data/rooms_n.mat"
    with pytest.raises(ZDError, match=r"top\.yaml: runs: no run has a seg_weight above 0"):
        load_profile("top", tmp_path)


def test_sections_can_be_taken_from_several_profiles() -> None:
    study, paper = load_profile("study", ROOT), load_profile("paper", ROOT)
    both = load_profile("paper_study", ROOT)
    assert (both.study, both.model, both.data) == (study.study, paper.model, paper.data)
    assert not both.runs


@pytest.mark.parametrize(
    ("extends", "message"),
    [
        ("mine", r"mine\.yaml: extends: goes in a circle \(mine extends mine\): leave one of them out"),
        ("other", r"other\.yaml: extends: goes in a circle \(mine extends other extends mine\)"),
        ("none", r"none\.yaml: no such profile \(profiles/mine\.yaml extends it\): choose one of mine, other"),
        ({"other": ["studies"]}, r"mine\.yaml: extends: other has no studies: choose from "),
        (["other"], r"mine\.yaml: extends: \['other'\] is neither a profile nor "),
    ],
)
def test_what_cannot_be_extended_is_named(tmp_path: Path, extends: object, message: str) -> None:
    # With sections, the profile that is extended is read whole, too: it must not extend mine.
    other = {"train": {}} if isinstance(extends, dict) else {"extends": "mine"}
    write(tmp_path, mine={"extends": extends}, other=other)
    with pytest.raises(ZDError, match=message):
        load_profile("mine", tmp_path)
