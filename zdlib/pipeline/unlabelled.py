"""The grid of Depth Anything's study, job by job: what is finished and current is kept, what was killed goes on.

    python -m zdlib.pipeline.unlabelled                 every job: seed by seed, then what they are beside
    python -m zdlib.pipeline.unlabelled labelled_1 …    these

The jobs are no steps of the pipeline, since their photographs are in no checkout. Each leaves a record of what it
depended on, like a step: `results/depth_anything_study/provenance/JOB.json`.
"""

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from zdlib.config import Profile, load_profile
from zdlib.data.registry import data_set
from zdlib.errors import ZDError
from zdlib.files import content_sha256, read_json, sha256, write_json
from zdlib.paper.unlabelled import room_kinds
from zdlib.paper.unlabelled.job import REFERENCES, data_folder, jobs, judge_reference, prepare, run_job
from zdlib.paths import RunPaths, repo_root
from zdlib.pipeline.provenance import git_state, hardware
from zdlib.source_closure import LIBRARY_ROOT, fingerprints, packages
from zdlib.train.resume import Stopped

STUDY, TUNING = "depth_anything_study", "depth_anything_study_metric"
ALONE = (*REFERENCES, room_kinds.FILE)  # jobs that are no training of the grid
SOURCES = ("paper/unlabelled/job.py", "train/methods/depth_anything.py", "train/methods/zoe_distill.py")


def main(names: Sequence[str] = ()) -> int:
    """Run some jobs, or all that are not current; the exit status."""
    profile, tuning, paths = load_profile(STUDY), load_profile(TUNING), RunPaths(STUDY)
    every = [*jobs(profile), *ALONE]
    for name in names:
        if name not in every:
            raise ZDError(f"{name}: no such job: choose from {', '.join(every)}")
    print(prepare(paths), flush=True)
    inputs = {"pictures": content_sha256(data_folder(paths) / "pictures")}
    for name in names or every:
        scores, record = _scores(paths, name), paths.provenance / f"{name}.json"
        depends = _depends(profile, tuning, name)
        if scores.is_file() and record.is_file() and _is_current(read_json(record), depends, inputs, scores):
            print(f"{name}: current", flush=True)
            continue
        started, state = time.time(), git_state(repo_root())
        if name == room_kinds.FILE:
            room_kinds.main()
        elif name in REFERENCES:
            judge_reference(name, profile, tuning, paths)
        else:
            run_job(profile, tuning, name, paths)
        seconds = round(time.time() - started, 1)
        outputs = {scores.relative_to(repo_root()).as_posix(): sha256(scores)}
        said = {"depends": depends, "inputs": inputs, "outputs": outputs}
        write_json(record, {"step": name, **state, **said, "hardware": hardware(), "seconds": seconds})
        print(f"{name}: done in {seconds:.0f} s", flush=True)
    return 0


def _scores(paths: RunPaths, name: str) -> Path:
    return paths.per_image / (f"{name}.csv" if name in ALONE else f"study_{name}.csv")


def _is_current(record: dict[str, Any], depends: list[str], inputs: dict[str, str], scores: Path) -> bool:
    """Whether a job's record is of this code, these values and pictures, and its scores are those it wrote."""
    same = record["depends"] == depends and record["inputs"] == inputs
    return same and list(record["outputs"].values()) == [sha256(scores)]


def _depends(profile: Profile, tuning: Profile, name: str) -> list[str]:
    """As of a step: code, values and packages, one string each; further seeds of an arm leave those that there are."""
    if name == room_kinds.FILE:
        return _code(
            [LIBRARY_ROOT / "zdlib/paper/unlabelled/room_kinds.py", LIBRARY_ROOT / "zdlib/data/rooms/reader.py"]
        )
    entries = [*profile.data.train, *profile.data.tests]
    readers = {LIBRARY_ROOT / data_set(entry.set).file for entry in entries}
    sources = sorted({*(LIBRARY_ROOT / "zdlib" / file for file in SOURCES), *readers})
    arm = {} if profile.study is None or name in REFERENCES else {"arm": profile.study.arms[name.rpartition("_")[0]]}
    values = {
        "data": profile.data,
        "model": profile.model,
        "train": profile.train,
        "metric data": tuning.data,
        "metric train": tuning.train,
        "metric run": tuning.runs["metric"],
        **arm,
    }
    said = [f"value {key} {value.model_dump_json(exclude={'seeds'})}" for key, value in values.items()]
    return [*_code(sources), *said]


def _code(sources: Sequence[Path]) -> list[str]:
    return [
        *(f"file {file} {digest[:16]}" for file, digest in fingerprints(sources, LIBRARY_ROOT).items()),
        *(f"package {package} {version}" for package, version in packages(sources, LIBRARY_ROOT).items()),
    ]


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except ZDError as error:
        sys.exit(f"error: {error}")
    except Stopped as stopped:  # its state is saved
        print(stopped, file=sys.stderr)
        sys.exit(stopped.status)
