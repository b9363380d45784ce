"""The typed configuration of a run, read from `profiles/<name>.yaml`. An unknown key is an error."""

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)

from zdlib.errors import ZDError
from zdlib.paths import repo_root
from zdlib.profile_files import NAME, profile_content
from zdlib.recipes import RECIPES, Recipe, RecipeName

Positive = Annotated[int, Field(gt=0)]
Count = Annotated[int, Field(gt=0, le=100_000)]  # of epochs, frames of a batch, …: more is a slip of the pen
Width = Annotated[int, Field(gt=0, le=16_384)]  # of a layer
Side = Annotated[int, Field(ge=32, le=8_192)]  # of a network's input, pixels: encoders halve it five times
Pixels = Annotated[int, Field(gt=0, le=8_192)]  # of a picture's side
Name = Annotated[str, StringConstraints(pattern=f"^{NAME.pattern}$", max_length=100)]  # becomes a file's
ZOE_DISTILL = "zoe_distill"  # the paper's method; others are known to `zdlib.train.methods` alone
LABEL_STUDY = "label_study"  # the same with one thing changed about its labels


class Frozen(BaseModel):
    """Immutable, and strict about names; a number is finite."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class EmbeddedConfig(Frozen):
    """The embedded rooms: what notebook 01 writes in NYU's and iBims-1's own layouts before anything reads them."""

    source: Path = Path("data/rooms")
    train_limit: Positive | None = None  # frames of Rooms-N's official train part; None = all
    test_limit: Positive | None = None
    ibims_limit: Positive | None = None


class StreetsConfig(Frozen):
    """The embedded road scenes: what is written in KITTI's, Cityscapes' and Virtual KITTI 2's own layouts.

    `root` gets `kitti/`, `cityscapes/` and `vkitti2/`; notebook 01 writes them, and `zdlib train` and `zdlib evaluate`
    if nobody has.
    """

    source: Path = Path("data/streets")
    root: str
    clips: Positive | None = None  # of each part of Streets-K, and frames of Streets-V; None = all

    @property
    def stores(self) -> tuple[Path, Path]:
        """The files of Streets-K and Streets-V."""
        return self.source / "streets_k.h5", self.source / "streets_v.h5"

    @property
    def mark(self) -> str:
        """The file that is written last, so that its presence means that all is there."""
        return f"{self.root}/written.json"


class SplitConfig(Frozen):
    """Which frames of a data set are held out; the others train. Exactly one key; see `zdlib.data.splits`."""

    file: str | None = None  # NYU's splits.mat, or a text file with the name of one held-out frame per line
    scenes: tuple[str, ...] = ()  # held-out scenes; * and ? stand for any text and any character
    share: float | None = Field(default=None, gt=0, lt=1)  # of the frames, drawn by whole scenes or blocks

    @model_validator(mode="after")
    def _one_key(self) -> "SplitConfig":
        if sum((self.file is not None, bool(self.scenes), self.share is not None)) != 1:
            raise ValueError("a split has exactly one of file, scenes and share")
        return self


class SetConfig(Frozen):
    """A copy of a data set: what every kind of them has."""

    root: str  # what the set's reader opens: a folder, or a file; may start with $ZD_DATA
    name: str = ""  # what captions call it; default: the last part of `root`
    split: SplitConfig | None = None  # default: the set's official one, if it has one, else nothing is held out
    protocol: str | None = None  # of a test; default: the one that the set's numbers are usually reported under
    size: tuple[Pixels, Pixels] | None = None  # of a training set: height, width its frames are resized to

    @field_validator("split", mode="before")
    @classmethod
    def _short_form(cls, split: object) -> object:
        return {"file": split} if isinstance(split, str) else split

    @property
    def title(self) -> str:
        """What captions call it."""
        return self.name or Path(self.root).name

    @property
    def frames_of(self) -> str:
        """What numbers of its frames refer to: the copy, and where that has several, which list or part of it."""
        return self.root

    @property
    def files(self) -> dict[str, str]:
        """The files and folders that decide what is read, by key."""
        split = None if self.split is None else self.split.file
        named = {"root": self.root, "split": split, "list_file": getattr(self, "list_file", None)}
        return {key: value for key, value in named.items() if value is not None}


class NYUConfig(SetConfig):
    """NYU Depth v2's labelled part, or a file in its layout."""

    set: Literal["nyu"]
    # Packs of the .mat (zdlib data pack) that training reads in its place, by depth; no number depends on them.
    packs: dict[Literal["raw", "inpainted"], str] = {}


class FolderConfig(SetConfig):
    """Anybody's RGB-D pictures: see `zdlib.data.sets.folder` for the layouts."""

    set: Literal["folder"]
    list_file: str | None = None  # `image depth` per line, both relative to the root; default: pairs by name
    image_folder: str = "rgb"
    depth_folder: str = "depth"
    metres_per_unit: float = Field(default=0.001, gt=0)  # of the 16-bit depth maps


class KittiRawConfig(SetConfig):
    """KITTI's raw recordings, or drives in their layout: see `zdlib.data.sets.kitti_raw`."""

    set: Literal["kitti_raw"]
    list_file: str | None = None  # `DAY/DRIVE index l` per line; default: every frame that has a depth
    # Default: what the protocol judges by; where there is none, improved.
    depth: Literal["improved", "velodyne", "velodyne_forward", "none"] | None = None

    @property
    def frames_of(self) -> str:
        """The copy and the list."""
        return self.root if self.list_file is None else f"{self.root} ({self.list_file})"


class CityscapesConfig(SetConfig):
    """Cityscapes, or pictures in its layout: see `zdlib.data.sets.cityscapes`."""

    set: Literal["cityscapes"]
    part: Literal["train", "val", "test"] = "val"

    @property
    def frames_of(self) -> str:
        """The copy and the part."""
        return f"{self.root} ({self.part})"


class BenchmarkConfig(SetConfig):
    """A published data set with one layout and no choices."""

    set: Literal[
        "ibims", "sunrgbd", "diode_indoor", "diode_outdoor", "hypersim", "kitti", "vkitti2", "ddad", "diml_indoor",
        "diml_outdoor", "rooms", "streets", "real-hololens", "real-mix", "real-streets",
    ]  # fmt: skip


AnySet = NYUConfig | FolderConfig | BenchmarkConfig | KittiRawConfig | CityscapesConfig
DataSetConfig = Annotated[AnySet, Field(discriminator="set")]
_SETS: dict[str, type[SetConfig]] = {
    key: kind for kind in get_args(AnySet) for key in get_args(kind.model_fields["set"].annotation)
}


class DataConfig(Frozen):
    """Which data sets train, and which judge what was trained."""

    train: tuple[DataSetConfig, ...] = ()
    tests: tuple[DataSetConfig, ...] = ()
    embedded: EmbeddedConfig | None = None
    streets: StreetsConfig | None = None

    @model_validator(mode="after")
    def _keys_have_their_place(self) -> "DataConfig":
        for entry in self.train:
            if entry.protocol is not None:
                raise ValueError(f"train: {entry.title}: a protocol belongs to a test: leave it out")
        for entry in self.tests:
            if entry.size is not None:
                raise ValueError(f"tests: {entry.title}: a test is judged at its own size: leave size out")
            if entry.set == "folder" and entry.protocol is None:
                raise ValueError(f"tests: {entry.title}: name the protocol whose pixel rules apply: nyu/standard, …")
        if self.embedded is not None and not (self.has("nyu") and self.has("ibims") and all(self.embedded_files)):
            raise ValueError("embedded: is written in two layouts: name sets nyu, with a split file, and ibims")
        return self

    def has(self, key: str) -> bool:
        """Whether a data set of this key is named."""
        return any(entry.set == key for entry in (*self.tests, *self.train))

    def entry(self, key: str) -> AnySet:
        """The first data set of this key, among the tests and then among those that train.

        Raises:
            ZDError: there is none.
        """
        for entry in (*self.tests, *self.train):
            if entry.set == key:
                return entry
        raise ZDError(f"data: names no set {key}, which this needs: add {{set: {key}, root: …}} to data.tests")

    @property
    def embedded_files(self) -> tuple[str, str, str]:
        """Where the embedded rooms are written: NYU's `.mat` and `splits.mat`, iBims-1's folder."""
        split = self.nyu.split
        return self.nyu.root, split.file or "" if split else "", self.ibims.root

    @property
    def nyu(self) -> NYUConfig:
        """What stands in for NYU Depth v2 in the paper's tables."""
        entry = self.entry("nyu")
        assert isinstance(entry, NYUConfig)
        return entry

    @property
    def ibims(self) -> SetConfig:
        """What stands in for iBims-1 in the paper's tables."""
        return self.entry("ibims")


class ModelConfig(Frozen):
    """Architecture. The defaults are Zoe-Distill's; see `zdlib.models`."""

    encoder: str = Field(pattern=r"^[A-Za-z0-9_.]+$", max_length=200)  # a timm model name; nothing is downloaded
    encoder_weights: str  # "none", "packaged" (ImageNet weights from a pip package), or a MiDaS checkpoint file
    input_size: tuple[Side, Side]  # height, width the network resizes to
    decoder_channels: Width = 256
    n_bins: Width = 64
    bin_embedding_dim: Width = 128
    n_attractors: tuple[Width, ...] = (16, 8, 4, 1)
    segmentation_channels: tuple[Width, ...] = Field(default=(256, 128, 64, 32, 16), min_length=1, max_length=5)
    label_input: bool = False  # pictures carry their true labels: the control study's positive control
    # The metric head's variants (ZoeDepth, Table 5); `zdlib.models.zoe.architecture` explains them and has the rest.
    head: Literal["attractor", "splitter", "naive"] = "attractor"
    attractor_type: Literal["inv", "exp"] = "inv"
    output: Literal["log_binomial", "softmax"] = "log_binomial"


class TrainConfig(Frozen):
    """Optimisation; what the recipes share. The defaults are the paper's."""

    epochs: Count = 15
    batch_size: Count = 3  # frames of one optimiser step, over all processes and accumulated parts
    accumulate: Count = 1  # parts that a process takes its share of a batch in: less memory, losses pooled by part
    lr: float = Field(default=1.61e-4, gt=0)
    encoder_lr_factor: float = Field(default=10.0, ge=1)  # the encoder's learning rate is lr / factor
    weight_decay: float = Field(default=0.01, ge=0)
    pct_start: float = Field(default=0.7, gt=0, lt=1)  # OneCycle: share of steps before the cosine descent
    div_factor: float = Field(default=1.0, ge=1)  # OneCycle: first learning rate is lr / div_factor
    final_div_factor: float = Field(default=1e4, ge=1)
    clip_grad_norm: float = Field(default=0.1, gt=0)
    validations_per_epoch: Count = 4
    validation_fraction: float = Field(default=0.1, gt=0, lt=1)  # of the training scenes
    workers: int = Field(default=2, ge=0, le=256)
    threads: int | None = Field(default=None, ge=1, le=1024)  # CPU threads; None = torch's choice
    precision: Literal["fp32", "bf16", "fp16", "auto"] = "fp32"  # auto: bf16 where the processor computes in it
    checkpoint_activations: bool = False  # the backward pass runs the encoder's blocks again: less memory, more time
    compile: bool = False  # torch.compile of the training step's forward and backward pass; rounds otherwise
    deterministic: bool = False  # equal runs on a GPU are bitwise equal too, as a CPU's always are; slower
    save_minutes: float = Field(default=2.0, ge=0)  # between states to resume from, or longer: < 2 % of the time


class RunConfig(Frozen):
    """One training run: its name is the key in `runs`."""

    title: str  # the row's name in tables
    method: str = Field(default=ZOE_DISTILL, pattern="^[a-z][a-z0-9_]*$")  # a file of zdlib/train/methods
    options: dict[str, Any] = {}  # settings that only this method has; it checks them
    recipe: RecipeName = "corrected"
    seg_weight: float = Field(default=0.1, ge=0)  # w_dis; 0 is the control: no segmentation head at all
    seed: int = Field(default=43, ge=0, lt=2**32 - 2**16)  # each process adds its number
    detach_features: bool = False  # the segmentation head learns but sends no gradient back: it cannot help depth
    freeze_encoder: bool = False  # the encoder keeps its first weights
    start_from: str | None = None  # a checkpoint of ours whose weights training begins with; None = the model's own

    @property
    def settings(self) -> Recipe:
        """The recipe's fields."""
        return RECIPES[self.recipe]

    @property
    def segments(self) -> bool:
        """Whether its network is trained with a segmentation head."""
        return self.method in (ZOE_DISTILL, LABEL_STUDY) and self.seg_weight > 0

    @property
    def is_control(self) -> bool:
        """Whether it is Zoe-Distill without what the paper adds."""
        return self.method == ZOE_DISTILL and self.seg_weight == 0


class EvalConfig(Frozen):
    """Evaluation."""

    batch_size: Count = 8
    flip: bool = True  # average the prediction with that of the mirrored image
    precision: Literal["fp32", "bf16"] = "fp32"
    qualitative: int = Field(default=6, gt=0, le=1_000)  # rows of the picture grids


class Arm(Frozen):
    """One treatment of a study: a `RunConfig` trained once per seed, with what it changes of the profile."""

    title: str
    seeds: list[Annotated[int, Field(ge=0, lt=2**32 - 2**16)]] = Field(min_length=1, max_length=1_000)
    method: str = ZOE_DISTILL
    options: dict[str, Any] = {}
    seg_weight: float = Field(default=0.1, ge=0)
    detach_features: bool = False
    freeze_encoder: bool = False
    model: dict[str, Any] = {}  # other values than the profile's `model` section has
    train: dict[str, Any] = {}  # likewise


class StudyConfig(Frozen):
    """A grid of trainings."""

    arms: dict[Name, Arm] = Field(min_length=1)
    pairs: list[tuple[str, str]] = Field(min_length=1)  # (arm, the arm it is compared with), in the tables' order
    # The first pair is the primary contrast. Tests of the family are corrected together, others are exploratory.
    family: list[tuple[str, str]] = []
    margin: float = Field(default=0.01, gt=0)  # of δ1: a mean difference within it does not matter

    @model_validator(mode="after")
    def _arms_are_known(self) -> "StudyConfig":
        for key, arm_of_key in self.arms.items():
            if len(set(arm_of_key.seeds)) < len(arm_of_key.seeds):
                raise ValueError(f"arms: {key}: names a seed twice: name each once")
        for arm in {arm for pair in self.pairs for arm in pair} - self.arms.keys():
            raise ValueError(f"pairs: no arm {arm!r}: choose from {', '.join(self.arms)}")
        for pair in self.family:
            if pair not in self.pairs:
                raise ValueError(f"family: {' − '.join(pair)} is not among the pairs: add it there")
        return self

    def jobs(self) -> dict[str, RunConfig]:
        """The grid's runs, `<arm>_<seed>` each."""
        return {
            f"{key}_{seed}": RunConfig(**arm.model_dump(exclude={"seeds", "model", "train"}) | {"seed": seed})
            for key, arm in self.arms.items()
            for seed in arm.seeds
        }


class Profile(Frozen):
    """Everything a run depends on."""

    name: Name
    data: DataConfig
    model: ModelConfig
    train: TrainConfig
    runs: dict[Name, RunConfig] = {}
    evaluate: EvalConfig = EvalConfig()
    study: StudyConfig | None = None

    @model_validator(mode="after")
    def _segments_nyu_classes(self) -> "Profile":
        labelled = next((entry.title for entry in self.data.train if entry.set == "cityscapes"), None)
        for key, run in self.runs.items():
            if labelled is not None and run.segments:
                raise ValueError(
                    f"runs: {key}: segments NYU's classes, {labelled} has Cityscapes': set its seg_weight to 0"
                )
        return self

    @model_validator(mode="after")
    def _arms_change_what_there_is(self) -> "Profile":
        for key, arm in self.study.arms.items() if self.study else ():
            for section in ("model", "train"):
                for name in getattr(arm, section).keys() - type(getattr(self, section)).model_fields.keys():
                    raise ValueError(f"study: arm {key}: {section} has no {name!r}")
        return self

    def job(self, key: str) -> "Profile":
        """The profile of one training of the study: that run alone, with its arm's values.

        Raises:
            ZDError: no such training.
        """
        jobs = {} if self.study is None else self.study.jobs()
        if self.study is None or key not in jobs:
            known = ", ".join(jobs) or "none"
            raise ZDError(f"profiles/{self.name}.yaml: no run {key!r} in its study: choose one of {known}")
        arm = self.study.arms[key.rpartition("_")[0]]
        changed = {
            "model": ModelConfig.model_validate(self.model.model_dump() | arm.model),
            "train": TrainConfig.model_validate(self.train.model_dump() | arm.train),
        }
        return self.model_copy(update={"runs": {key: jobs[key]}, **changed})

    @property
    def is_paper(self) -> bool:
        """Whether the paper's notebooks can tell it: something stands in for NYU Depth v2 and for iBims-1."""
        return self.data.has("nyu") and self.data.has("ibims")


def load_profile(name: str, root: Path | None = None, changes: Sequence[str] = ()) -> Profile:
    """Read `profiles/<name>.yaml`.

    Args:
        name: the profile's.
        root: the checkout; default: this one.
        changes: `section.key=value` each (--set), taking the place of the file's value; the value is YAML.

    Raises:
        ZDError: no such profile, not YAML, a circle of `extends`, an unknown key (the nearest known one is named), a
            wrong value, or no run with a segmentation head in a profile of the paper.
    """
    folder = (root or repo_root()) / "profiles"
    path = folder / f"{name}.yaml"
    content = profile_content(folder, name, changes)
    try:
        profile = Profile.model_validate(content)
    except ValidationError as error:
        raise ZDError(f"{_culprit(error, changes) or path}: {_explain(error)}") from error
    if profile.name != name:
        raise ZDError(f"{path}: its name is {profile.name!r}: make it {name!r}, like the file's")
    if not profile.runs and profile.study is None:
        raise ZDError(f"{path}: runs: there is none, and no study: name at least one")
    if profile.is_paper and profile.runs and all(run.is_control for run in profile.runs.values()):
        raise ZDError(f"{path}: runs: no run has a seg_weight above 0: the paper's tables need one that segments")
    return profile


def _culprit(error: ValidationError, changes: Sequence[str]) -> str:
    """The change that the first thing wrong comes from; empty if it is the profile's own."""
    where = _where(error.errors(include_url=False)[0]["loc"])
    # A later change takes the place of an earlier one.
    return next((f"--set {c}" for c in reversed(changes) if f"{where}.".startswith(f"{c.partition('=')[0]}.")), "")


def _where(location: tuple[int | str, ...]) -> str:
    """A place as the profile's author writes it: of a data set, pydantic adds the key to its number."""
    if location[:1] == ("data",) and len(location) > 3:
        location = (*location[:3], *location[4:])
    return ".".join(str(part) for part in location)


def _explain(error: ValidationError) -> str:
    """One line on the first thing wrong."""
    first = error.errors(include_url=False)[0]
    where = _where(first["loc"])
    if first["type"] == "union_tag_not_found":
        return f"{where}: names no data set: add set, one of {', '.join(_SETS)}"
    if first["type"] == "union_tag_invalid":
        key = str(first["input"]["set"])
        return f"{where}: {_nearest(f'no data set {key}', key, list(_SETS), 'data sets')}"
    if first["type"] != "extra_forbidden":
        said = first["msg"].removeprefix("Value error, ")
        return f"{where}: {said[0].lower()}{said[1:]} (got {_short(first.get('input'))})"
    return _nearest(f"unknown key {where}", str(first["loc"][-1]), _fields_at(first["loc"][:-1]), "keys here")


def _short(value: object, length: int = 200) -> str:
    """What was found, cut where a whole section is wrong."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # thousands of digits, or of brackets
        text = f"{type(value).__name__} of more than a line can show"
    return text if len(text) <= length else f"{text[:length]}…"


def _nearest(problem: str, name: str, known: Sequence[str], kind: str) -> str:
    """The problem, the known name that is nearest, and all of them."""
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
    return f"{problem}: did you mean {close[0]}? Known {kind}: {', '.join(known)}"


def _fields_at(location: tuple[Any, ...]) -> list[str]:
    """The keys that are known at a place of the profile."""
    if location[:1] == ("data",) and len(location) > 3:
        inside = SplitConfig if location[4:5] == ("split",) else _SETS[str(location[3])]
        return list(inside.model_fields)
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
