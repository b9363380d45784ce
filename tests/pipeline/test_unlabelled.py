"""The grid of Depth Anything's study: what is current is kept, what is not runs, and each job leaves its record."""

import pandas as pd
import pytest

from zdlib.errors import ZDError
from zdlib.files import read_json
from zdlib.paper.unlabelled.job import jobs
from zdlib.paths import RunPaths
from zdlib.pipeline import unlabelled


@pytest.fixture
def ran(tmp_path, monkeypatch):
    """The jobs that have run, in order; none of them trains."""
    names: list[str] = []
    load, paths = unlabelled.load_profile, RunPaths

    def write(key, here):
        names.append(key)
        scores = here.per_image / (f"{key}.csv" if key in unlabelled.ALONE else f"study_{key}.csv")
        scores.parent.mkdir(parents=True, exist_ok=True)
        pd.DataFrame({"value": [len(key)]}).to_csv(scores, index=False)

    class Here(paths):
        @property
        def results(self):
            return tmp_path / "results"

    (tmp_path / "results" / "data" / "pictures").mkdir(parents=True)
    monkeypatch.setattr(unlabelled, "RunPaths", Here)
    monkeypatch.setattr(unlabelled, "repo_root", lambda: tmp_path)
    monkeypatch.setattr(unlabelled, "prepare", lambda here: {})
    monkeypatch.setattr(unlabelled, "run_job", lambda profile, tuning, key, here: write(key, here))
    monkeypatch.setattr(unlabelled, "judge_reference", lambda name, profile, tuning, here: write(name, here))
    monkeypatch.setattr(unlabelled.room_kinds, "main", lambda: write("room_kinds", Here(unlabelled.STUDY)))
    monkeypatch.setattr(unlabelled, "load_profile", load)
    return names


def test_all_jobs_run_once_and_leave_a_record(ran, tmp_path, capsys) -> None:
    assert unlabelled.main() == 0
    assert ran == [*jobs(unlabelled.load_profile(unlabelled.STUDY)), "meter", "constant", "room_kinds"]
    record = read_json(tmp_path / "results" / "provenance" / "plain_2.json")
    assert record["step"] == "plain_2"
    assert list(record["outputs"]) == ["results/per_image/study_plain_2.csv"]
    named = {line.split()[1] for line in record["depends"] if line.startswith("file ")}
    assert {"zdlib/train/methods/depth_anything.py", "zdlib/losses/depth_anything.py"} <= named
    assert "zdlib/paper/unlabelled/study.py" not in named, "other statistics make no training stale"
    assert unlabelled.main() == 0
    assert len(ran) == 27
    assert capsys.readouterr().out.count(": current") == 27


def test_what_has_changed_runs_again_and_nothing_else(ran, tmp_path, monkeypatch) -> None:
    names = ["labelled_1", "plain_1", "meter"]
    unlabelled.main(names)
    (tmp_path / "results" / "per_image" / "study_plain_1.csv").write_text("value\n0\n")
    unlabelled.main(names)
    assert ran[3:] == ["plain_1"]
    profile = unlabelled.load_profile(unlabelled.STUDY)
    arms = dict(profile.study.arms)
    arms["labelled"] = arms["labelled"].model_copy(update={"options": {"max_depth": 70}})
    arms["plain"] = arms["plain"].model_copy(update={"seeds": [1, 2]})  # which the seed that has run does not heed
    study = profile.study.model_copy(update={"arms": arms})
    changed, before = profile.model_copy(update={"study": study}), unlabelled.load_profile
    monkeypatch.setattr(unlabelled, "load_profile", lambda name: changed if name == unlabelled.STUDY else before(name))
    unlabelled.main(names)
    assert ran[4:] == ["labelled_1"]


def test_other_pictures_make_every_job_stale(ran, tmp_path) -> None:
    unlabelled.main(["labelled_1"])
    (tmp_path / "results" / "data" / "pictures" / "new.png").write_bytes(b"x")
    unlabelled.main(["labelled_1"])
    assert ran == ["labelled_1", "labelled_1"]


def test_an_unknown_job_is_one_line(ran) -> None:
    with pytest.raises(ZDError, match="labelled_9: no such job: choose from labelled_1, plain_1"):
        unlabelled.main(["labelled_9"])
    assert ran == []
