"""The typed configuration of a run, read from `profiles/<name>.yaml`. An unknown key is an error."""

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from zdlib.errors import ZDError
from zdlib.paths import repo_root
from zdlib.recipes import RECIPES, Recipe, RecipeName

Positive = Annotated[int, Field(gt=0)]


class Frozen(BaseModel):
    """Immutable, and strict about names."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class EmbeddedConfig(Frozen):
    """The embedded rooms: what notebook 01 writes in NYU's and iBims-1's own layouts before anything reads them."""

    source: Path = Path("data/rooms")
    train_limit: Positive | None = None  # frames of Rooms-N's official train part; None = all
    test_limit: Positive | None = None
    ibims_limit: Positive | None = None


class DataConfig(Frozen):
    """Which files play NYU's and iBims-1's part, and what captions call them."""

    nyu_name: str
    nyu_mat: str  # NYU's labelled .mat (or one in its layout); may start with $ZD_DATA
    nyu_splits: str
    ibims_name: str
    ibims_root: str
    # Packs of nyu_mat (zdlib data pack) that training reads in its place, by depth; no number depends on them.
    nyu_packs: dict[Literal["raw", "inpainted"], str] = {}
    embedded: EmbeddedConfig | None = None


class ModelConfig(Frozen):
    """Architecture. The defaults are Zoe-Distill's; see `zdlib.models`."""

    encoder: str  # a timm model name
    encoder_weights: str  # "none", "packaged" (ImageNet weights from a pip package), or a MiDaS checkpoint file
    input_size: tuple[Positive, Positive]  # height, width the network resizes to
    decoder_channels: Positive = 256
    n_bins: Positive = 64
    bin_embedding_dim: Positive = 128
    n_attractors: tuple[Positive, ...] = (16, 8, 4, 1)
    segmentation_channels: tuple[Positive, ...] = (256, 128, 64, 32, 16)


class TrainConfig(Frozen):
    """Optimisation; what the recipes share. The defaults are the paper's."""

    epochs: Positive = 15
    batch_size: Positive = 3  # frames of one optimiser step, over all processes and accumulated parts
    accumulate: Positive = 1  # parts that a process takes its share of a batch in: less memory, losses pooled by part
    lr: float = Field(default=1.61e-4, gt=0)
    encoder_lr_factor: float = Field(default=10.0, ge=1)  # the encoder's learning rate is lr / factor
    weight_decay: float = Field(default=0.01, ge=0)
    pct_start: float = Field(default=0.7, gt=0, lt=1)  # OneCycle: share of steps before the cosine descent
    div_factor: float = Field(default=1.0, ge=1)  # OneCycle: first learning rate is lr / div_factor
    final_div_factor: float = Field(default=1e4, ge=1)
    clip_grad_norm: float = Field(default=0.1, gt=0)
    validations_per_epoch: Positive = 4
    validation_fraction: float = Field(default=0.1, gt=0, lt=1)  # of the training scenes
    workers: int = Field(default=2, ge=0)
    threads: int | None = Field(default=None, ge=1)  # CPU threads; None = torch's choice
    precision: Literal["fp32", "bf16", "fp16", "auto"] = "fp32"  # auto: bf16 where the processor computes in it
    checkpoint_activations: bool = False  # the backward pass runs the encoder's blocks again: less memory, more time
    compile: bool = False  # torch.compile of the training step's forward and backward pass; rounds otherwise
    deterministic: bool = False  # equal runs on a GPU are bitwise equal too, as a CPU's always are; slower
    save_minutes: float = Field(default=2.0, ge=0)  # between states to resume from, or longer: < 2 % of the time


class RunConfig(Frozen):
    """One training run: its name is the key in `runs`."""

    title: str  # the row's name in tables
    recipe: RecipeName = "corrected"
    seg_weight: float = Field(default=0.1, ge=0)  # w_dis; 0 is the control: no segmentation head at all
    seed: int = 43
    detach_features: bool = False  # the segmentation head learns but sends no gradient back: it cannot help depth
    freeze_encoder: bool = False  # the encoder keeps its first weights

    @property
    def settings(self) -> Recipe:
        """The recipe's fields."""
        return RECIPES[self.recipe]


class EvalConfig(Frozen):
    """Evaluation."""

    batch_size: Positive = 8
    flip: bool = True  # average the prediction with that of the mirrored image
    precision: Literal["fp32", "bf16"] = "fp32"
    qualitative: Positive = 6  # rows of the picture grids


class Arm(Frozen):
    """One treatment of a study: a `RunConfig` trained once for each seed."""

    title: str
    seeds: list[int] = Field(min_length=1)
    seg_weight: float = Field(default=0.1, ge=0)
    detach_features: bool = False
    freeze_encoder: bool = False


class StudyConfig(Frozen):
    """A grid of trainings."""

    arms: dict[str, Arm] = Field(min_length=1)
    pairs: list[tuple[str, str]] = Field(min_length=1)  # (arm, the arm it is compared with), in the tables' order

    @model_validator(mode="after")
    def _arms_are_known(self) -> "StudyConfig":
        for arm in {arm for pair in self.pairs for arm in pair} - self.arms.keys():
            raise ValueError(f"pairs: no arm {arm!r}: choose from {', '.join(self.arms)}")
        return self

    def jobs(self) -> dict[str, RunConfig]:
        """The grid's runs, `<arm>_<seed>` each."""
        return {
            f"{key}_{seed}": RunConfig(**arm.model_dump(exclude={"seeds"}) | {"seed": seed})
            for key, arm in self.arms.items()
            for seed in arm.seeds
        }


class Profile(Frozen):
    """Everything a run depends on."""

    name: str
    data: DataConfig
    model: ModelConfig
    train: TrainConfig
    runs: dict[str, RunConfig] = {}
    evaluate: EvalConfig = EvalConfig()
    study: StudyConfig | None = None


def load_profile(name: str, root: Path | None = None, changes: Sequence[str] = ()) -> Profile:
    """Read `profiles/<name>.yaml`.

    Args:
        name: the profile's.
        root: the checkout; default: this one.
        changes: `section.key=value` each (--set), taking the place of the file's value; the value is YAML.

    Raises:
        ZDError: no such profile, not YAML, an unknown key (the nearest known one is named), a wrong value, or no run
            with a segmentation head.
    """
    folder = (root or repo_root()) / "profiles"
    path = folder / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in folder.glob("*.yaml")))
        raise ZDError(f"{path}: no such profile: choose one of {known}")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ZDError(f"{path}: not valid YAML ({error})") from error
    if not isinstance(content, dict):
        raise ZDError(f"{path}: empty or not a mapping: copy another profile and edit it")
    for change in changes:
        _apply(content, change)
    try:
        profile = Profile.model_validate(content)
    except ValidationError as error:
        raise ZDError(f"{_culprit(error, changes) or path}: {_explain(error)}") from error
    if profile.name != name:
        raise ZDError(f"{path}: its name is {profile.name!r}: make it {name!r}, like the file's")
    if not profile.runs and profile.study is None:
        raise ZDError(f"{path}: runs: there is none, and no study: name at least one")
    if profile.runs and all(run.seg_weight == 0 for run in profile.runs.values()):
        raise ZDError(f"{path}: runs: no run has a seg_weight above 0: the paper's tables need one that segments")
    return profile


def _apply(content: dict[str, Any], change: str) -> None:
    """Put one `section.key=value` into a profile's content; what the key may be is checked with the whole."""
    where, equals, text = change.partition("=")
    *sections, key = where.split(".")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ZDError(f"--set {change}: {text!r} is not a YAML value: quote it") from error
    for section in sections:
        content = content.setdefault(section, {})
        if not isinstance(content, dict):
            break
    if not equals or not sections or not key or not isinstance(content, dict):
        raise ZDError(f"--set {change}: not a change of a profile: write section.key=value, like train.lr=1e-3")
    content[key] = value


def _culprit(error: ValidationError, changes: Sequence[str]) -> str:
    """The change that the first thing wrong comes from; empty if it is the profile's own."""
    where = ".".join(str(part) for part in error.errors(include_url=False)[0]["loc"])
    # A later change takes the place of an earlier one.
    return next((f"--set {c}" for c in reversed(changes) if f"{where}.".startswith(f"{c.partition('=')[0]}.")), "")


def _explain(error: ValidationError) -> str:
    """One line on the first thing wrong."""
    first = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    if first["type"] != "extra_forbidden":
        return f"{where}: {first['msg'][0].lower()}{first['msg'][1:]} (got {first.get('input')!r})"
    known = _fields_at(first["loc"][:-1])
    close = difflib.get_close_matches(str(first["loc"][-1]), known, n=1, cutoff=0.0)
    return f"unknown key {where}: did you mean {close[0]}? Known keys here: {', '.join(known)}"


def _fields_at(location: tuple[Any, ...]) -> list[str]:
    """The keys that are known at a place of the profile."""
    model: Any = Profile
    for part in location:
        if model is RunConfig or not hasattr(model, "model_fields"):
            break
        if part == "runs":
            model = RunConfig
            continue
        annotation = model.model_fields[str(part)].annotation
        model = next((a for a in getattr(annotation, "__args__", ()) if hasattr(a, "model_fields")), annotation)
    return list(model.model_fields)
