"""The steps of the pipeline: what each one reads, writes and depends on, by name.

The Snakefile is written with these names; `zdlib.pipeline.run` and `zdlib.pipeline.status` speak them.
"""

import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from zdlib.config import Profile, load_profile
from zdlib.data.registry import data_set
from zdlib.data.streets import SCORED
from zdlib.errors import ZDError
from zdlib.paths import RunPaths, repo_root
from zdlib.pipeline.saved import saved
from zdlib.pipeline.sources import watched_files
from zdlib.pipeline.studies import STUDIES, job_module, notebook_of
from zdlib.source_closure import fingerprints, packages

MAX_CHECKSUM_BYTES = 64 * 1024**2  # inputs up to this size count by content, larger ones by date
STATE = Path(".snakemake") / "zd"
FIRST, TRAINING = "01_data_prep", "03_training"
FRONT = ("00_abstract", "99_conclusion")  # state what the others found
JOB = "train"  # what the steps begin with that train: one a run of the profile, one a job of its study
PREDICTION = "predict"  # those that predict the test sets: one a run
# The profile's sections whose values make a step stale.
SECTIONS: dict[str, tuple[str, ...]] = {
    "00_abstract": ("data", "evaluate", "runs"),
    FIRST: ("data",),
    "02_architecture": ("model",),
    TRAINING: ("data", "model", "train", "runs"),
    "04_nyu_eval": ("data", "evaluate", "runs"),
    "05_ibims_eval": ("data", "evaluate", "runs"),
    "06_parameter_table": ("model",),
    "07_plots": ("data", "evaluate", "runs"),
    "08_protocol_audit": ("data", "evaluate", "runs"),
    JOB: ("data", "model", "train"),
    PREDICTION: ("data", "evaluate"),
    "09_control_study": ("data", "train", "study"),
    "11_photographs": ("data",),
    "12_heads": ("data", "model", "train", "study"),
    "13_domains": ("data", "train", "study"),
    "14_depth_anything": ("train", "study"),
    "15_unsupervised_stereo": ("data", "train", "study"),
    "16_semantic_guidance": ("data", "train", "study"),
    "17_when_labels_help": ("data", "model", "train", "study"),
}


class Layout:
    """Names of everything a profile's run reads and writes, relative to the repository's root."""

    def __init__(self, profile: str):
        self.root = repo_root()
        self.profile: Profile = load_profile(profile)
        if not self.profile.is_paper:
            raise ZDError(
                f"profiles/{profile}.yaml: the paper's notebooks need sets nyu and ibims in data: train and judge this "
                "one with `zdlib train` and `zdlib evaluate`"
            )
        self.paths = RunPaths(profile)
        self.python = shlex.quote(sys.executable)
        notebooks = [path.stem for path in sorted((self.root / "notebooks").glob("[0-9][0-9]_*.ipynb"))]
        study = {} if self.profile.study is None else self.profile.study.jobs()
        self.studied = {f"{JOB}_{key}": key for key in study}
        self.jobs = {f"{JOB}_{key}": key for key in self.profile.runs} | self.studied
        self.predictions = {f"{PREDICTION}_{key}": key for key in self.profile.runs}
        self.study = notebook_of(profile, bool(self.studied))  # the notebook of this profile's own study
        self.notebooks = [name for name in notebooks if self._has_place(name)]
        last = [name for name in self.notebooks if name in (self.study, *FRONT)]
        before = [name for name in self.notebooks if name not in last and name < TRAINING]
        after = [name for name in self.notebooks if name not in last and name >= TRAINING]
        self.steps = [*before, *self.jobs, *self.predictions, *after, *sorted(last, key=FRONT.__contains__), "report"]

    def _has_place(self, notebook: str) -> bool:
        """Whether a profile runs a notebook.

        Its own study's, and those about its own runs if it has runs; beside them the notebooks of other studies whose
        scores are in the checkout.
        """
        if notebook == self.study:
            return True
        if notebook in STUDIES:
            return bool(self.profile.runs) and bool(self.scores(STUDIES[notebook]))
        return bool(self.profile.runs) or notebook == FIRST

    # ---------------------------------------------------------------------------------------------- outputs by name
    def executed(self, notebook: str) -> str:
        """The executed notebook."""
        return self._local(self.paths.notebooks / f"{notebook}.ipynb")

    def table(self, *names: str) -> list[str]:
        """CSV and JSON of tables."""
        return [self._local(self.paths.tables / f"{name}.{kind}") for name in names for kind in ("csv", "json")]

    def figure(self, *names: str) -> list[str]:
        """PNG and PDF of figures."""
        return [self._local(self.paths.figures / f"{name}.{kind}") for name in names for kind in ("png", "pdf")]

    def shown(self, step: str) -> list[str]:
        """The executed notebook with the tables and figures that it saves; nothing for a step without notebook."""
        if step not in self.notebooks:
            return []
        names = saved(self.source(step))
        return [self.executed(step), *self.table(*names.tables), *self.figure(*names.figures)]

    def checkpoint(self, run: str) -> list[str]:
        """Weights and training logs of a run."""
        endings = (".safetensors", "_steps.csv", "_validations.csv")
        return [self._local(self.paths.checkpoints / f"{run}{ending}") for ending in endings]

    def trained(self, step: str) -> list[str]:
        """What a step that trains writes: a checkpoint with its logs, and a job of the study its scores."""
        key = self.jobs[step]
        scores = self.per_image(f"study_{key}", f"study_{key}_images") if step in self.studied else []
        return [*self.checkpoint(key), *scores]

    def predicted(self, run: str) -> list[str]:
        """What a run predicts for both test sets."""
        return [self._local(self.paths.results / "predictions" / f"{run}_{name}.h5") for name in ("nyu", "ibims")]

    def per_image(self, *names: str) -> list[str]:
        """Per-image metrics."""
        return [self._local(self.paths.per_image / f"{name}.csv") for name in names]

    def judged(self, dataset: str) -> list[str]:
        """Names of the per-image files of a data set's evaluation: each run and baseline under each protocol."""
        runs = list(self.profile.runs)
        methods = ["constant_depth", "mean_depth_map", *runs]
        protocols: tuple[str, ...]
        if dataset == "nyu":
            protocols = ("standard", "standard-291", "published", "published-291")
            own = [f"nyu_segmentation_{key}" for key, run in self.profile.runs.items() if run.segments]
        else:
            protocols = ("zoedepth", "published")
            own = [f"ibims_{kind}_{key}" for key in runs for kind in ("geometry", "planes")]
        return [f"{dataset}_{protocol}_{key}" for protocol in protocols for key in methods] + own

    def finished(self, step: str) -> str:
        """The mark of a step's success: the hashes of what it wrote. It lives outside `results/`."""
        return (STATE / self.profile.name / f"{step}.done").as_posix()

    def failure(self, step: str) -> Path:
        """The mark of a step that has begun and not ended well."""
        return self.root / STATE / self.profile.name / f"{step}.failed"

    def priority(self, step: str) -> int:
        """Steps that could run now run in the order of their numbers; a step this profile lacks has none."""
        return len(self.steps) - self.steps.index(step) if step in self.steps else 0

    @property
    def report(self) -> str:
        """The page that shows it all."""
        return self._local(self.paths.results / "report.html")

    def provenance(self, step: str) -> Path:
        """Where a step's provenance goes."""
        return self.paths.provenance / f"{step}.json"

    # --------------------------------------------------------------------------------------------------- inputs
    @property
    def materialised(self) -> list[str]:
        """Files of the embedded data sets that notebook 01 writes; of the streets, the last one."""
        streets = self.profile.data.streets
        return [*self._rooms, *([] if streets is None else [streets.mark])]

    @property
    def _rooms(self) -> list[str]:
        """The embedded rooms in the layouts that stand in for real data; none where the profile names these."""
        data = self.profile.data
        if data.embedded is None:
            return []
        mat, splits, ibims = data.embedded_files
        return [mat, splits, f"{ibims}/imagelist.txt"]

    @property
    def data_sources(self) -> list[str]:
        """Data files that must be there from the start."""
        files = [self._local(self.root / path) for path in watched_files(self.profile, weights=False)]
        if self.profile.data.embedded is None:
            return files
        return [file for file in files if file.endswith(".h5")]  # not the datasheet or the credits

    @property
    def data(self) -> list[str]:
        """Data files that notebooks after the first read: none of the streets."""
        streets = self.profile.data.streets
        stores = set() if streets is None else {self._local(self.root / path) for path in streets.stores}
        return self._rooms or [file for file in self.data_sources if file not in stores]

    @property
    def weights(self) -> list[str]:
        """The encoder's checkpoint file, if the profile names one."""
        return self._weights_of(self.profile)

    def begins_with(self, step: str) -> list[str]:
        """The checkpoint file that a job of the study begins with, if its arm names one."""
        alone = profile_of(self.profile, self.jobs[step])
        return self._weights_of(alone.model_copy(update={"study": None}))  # not those of other arms

    def _weights_of(self, profile: Profile) -> list[str]:
        return [self._local(self.root / path) for path in watched_files(profile, weights=True)]

    def measured(self, folder: str) -> list[str]:
        """Files in git of no profile: what `zdlib bench` measured (`bench`), or `zdlib.paper.side_by_side`."""
        return [self._local(path) for path in sorted((self.root / "results" / folder).glob("*.*"))]

    def scores(self, profile: str) -> list[str]:
        """The scores that a study's trainings have left: what its notebook shows in the reports of other profiles."""
        folder = RunPaths(profile).per_image
        return [self._local(path) for path in sorted([*folder.glob("*.csv"), *folder.glob("*.npz")])]

    @property
    def scored_on_streets(self) -> list[str]:
        """The committed scores that notebook 01 shows."""
        folders = [RunPaths(name).results / "evaluate" for name in SCORED]
        return [self._local(path) for folder in folders for path in sorted(folder.glob("*.csv"))]

    def compared(self, notebook: str) -> list[str]:
        """What the notebook of a study reads: the scores of its jobs, or those that are committed."""
        if notebook != self.study:
            return self.scores(STUDIES[notebook])
        marks = [self.finished(step) for step in self.studied]
        return marks + [
            path for key in self.studied.values() for path in self.per_image(f"study_{key}", f"study_{key}_images")
        ]

    @property
    def told_at_the_front(self) -> list[str]:
        """The notebooks whose tables hold the findings that the abstract states."""
        measured = ("04_nyu_eval", "05_ibims_eval", "08_protocol_audit", *STUDIES)
        return [name for name in measured if name in self.notebooks]

    def depends(self, step: str) -> list[str]:
        """What makes a step stale besides its input files; one string `kind name content` each.

        `file`: the code of its notebook and of the library files that it needs (`fingerprints`); `value`: those of
        the profile's sections that it uses; `package`: the versions that its code imports. Nothing for a step that
        this profile lacks: the Snakefile has the rules of all profiles.
        """
        if step not in self.steps:
            return []
        kind = JOB if step in self.jobs else PREDICTION if step in self.predictions else step
        sections = set(SECTIONS.get(kind, ()))
        sections |= {"evaluate"} if step in self.studied else set()
        profile = self._told(step)
        readers = self._readers(profile) if "data" in sections else ()
        sources = [self.source(step), *self._methods(step), *readers]
        packs = {"__all__": {"packs"}}  # the same frames from another file
        unheeded: dict[str, Any] = {"data": {"train": packs, "tests": packs}}
        if step != FIRST:
            unheeded["data"]["streets"] = True
        values = profile.model_dump(mode="json", include=sections, exclude=unheeded)
        if step in self.jobs:
            values["run"] = profile.runs[self.jobs[step]].model_dump(mode="json")
        return [
            *(f"file {name} {digest[:16]}" for name, digest in fingerprints(sources, self.root).items()),
            *(f"value {name} {value}" for name, value in _flat(values)),
            *(f"package {name} {version}" for name, version in packages(sources, self.root).items()),
        ]

    def _told(self, step: str) -> Profile:
        """The profile whose values a step depends on: that of the job, or of the study that its notebook shows."""
        if step in self.jobs:
            return profile_of(self.profile, self.jobs[step])
        return load_profile(STUDIES[step]) if step in STUDIES and step != self.study else self.profile

    def _readers(self, profile: Profile) -> list[Path]:
        """The files of the readers of a profile's data sets: named in the profile and in no import."""
        entries = [*profile.data.train, *profile.data.tests]
        return sorted({self.root / data_set(entry.set).file for entry in entries})

    def _methods(self, step: str) -> list[Path]:
        """The files of what a step that trains trains by: named in the profile and in no import."""
        if step != TRAINING and step not in self.jobs:
            return []
        runs = self.profile.runs if step == TRAINING else profile_of(self.profile, self.jobs[step]).runs
        return [self.root / f"zdlib/train/methods/{name}.py" for name in sorted({r.method for r in runs.values()})]

    def source(self, step: str) -> Path:
        """The file whose code a step runs.

        Raises:
            ZDError: no such step.
        """
        if step not in self.steps:
            raise ZDError(f"{step}: no such step: choose one of {', '.join(self.steps)}")
        if step in self.jobs:
            module = f"paper/{job_module(self.profile.name).replace('.', '/')}" if step in self.studied else "train/run"
            return self.root / f"zdlib/{module}.py"
        if step in self.predictions:
            return self.root / "zdlib/paper/predicted.py"
        return self.root / ("zdlib/paper/report.py" if step == "report" else f"notebooks/{step}.ipynb")

    def find_steps(self, name: str) -> list[str]:
        """Steps to run again by one name: a step's (see `find_step`), and with notebook 03 the runs' trainings."""
        step = self.find_step(name)
        trainings = [job for job in self.jobs if job not in self.studied] if step == TRAINING else []
        return [*trainings, step]

    def find_step(self, name: str) -> str:
        """A step by its full name, its number or its name without number.

        Raises:
            ZDError: no such step.
        """
        for step in self.steps:
            if name in {step, rule_of(step)} or (name.isdigit() and step.startswith(f"{name}_")):
                return step
        raise ZDError(f"{name}: no such step: choose one of {', '.join(self.steps)}")

    def _local(self, path: Path) -> str:
        return (path.relative_to(self.root) if path.is_relative_to(self.root) else path).as_posix()


def profile_of(profile: Profile, key: str) -> Profile:
    """The profile as one of its trainings has it: its run alone; for a job of the study, with its arm's values."""
    if key in profile.runs:
        return profile.model_copy(update={"runs": {key: profile.runs[key]}})
    return profile.job(key)


def rule_of(step: str) -> str:
    """A step's rule in the Snakefile (a rule's name cannot begin with a digit)."""
    return step.split("_", 1)[1] if step[:2].isdigit() else step


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Leaves of nested mappings as (dotted name, value), sorted."""
    if isinstance(value, dict):
        for key in sorted(value):
            yield from _flat(value[key], f"{name}.{key}" if name else key)
    else:
        yield name, str(value)


def duration(seconds: float) -> str:
    """`42 s`, `3 min 5 s`, `2 h 10 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
