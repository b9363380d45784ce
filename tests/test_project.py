"""The repository agrees with itself: pins, rules, README, committed notebooks and results."""

import ast
import json
import re
import subprocess
import tomllib
from pathlib import Path

import pandas as pd
import pytest
import yaml

from zdlib.config import Profile, load_profile
from zdlib.files import read_json
from zdlib.metrics.as_text import HEADERS
from zdlib.paper import control_study
from zdlib.paper.figures import PNG_LIMIT
from zdlib.paper.tables import main as tables_main
from zdlib.paths import RunPaths
from zdlib.pipeline.layout import SECTIONS, Layout
from zdlib.pipeline.notebook import check_parameters
from zdlib.pipeline.studies import STUDIES
from zdlib.source_closure import notebook_cells, notebook_code

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
ENVIRONMENT = yaml.safe_load((ROOT / "environment.yml").read_text())
SNAKEFILE = (ROOT / "Snakefile").read_text()
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
EXECUTED = sorted((ROOT / "results" / "demo" / "notebooks").glob("*.ipynb"))
STUDY = sorted((ROOT / "results" / "study" / "notebooks").glob("*.ipynb"))
MEGABYTE = 1_000_000


def tracked() -> list[Path]:
    """Files that git keeps; nothing outside a git checkout (a source archive)."""
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    return [ROOT / name for name in done.stdout.split("\0") if name]


def test_environment_yml_has_the_pins_of_pyproject() -> None:
    pip = next(entry["pip"] for entry in ENVIRONMENT["dependencies"] if isinstance(entry, dict))
    extras = PROJECT["optional-dependencies"]
    needed = [*PROJECT["dependencies"], *extras["test"], *(pin for pin in extras["demo"] if ";" not in pin)]
    assert pip == list(dict.fromkeys(needed))
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", pin) for pin in pip)
    assert ENVIRONMENT["name"] == PROJECT["name"]


def test_conda_python_is_one_that_pyproject_allows() -> None:
    python = next(str(entry) for entry in ENVIRONMENT["dependencies"] if str(entry).startswith("python="))
    assert f">={python.removeprefix('python=')}" == PROJECT["requires-python"]


def test_ci_runs_the_readme_s_test_command() -> None:
    assert "exec ./run_all.sh --test\n" in (ROOT / ".ci" / "run").read_text()
    assert "./run_all.sh --test" in (ROOT / "README.md").read_text()
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "paper.yml").read_text())
    commands = [step.get("run", "") for step in workflow["jobs"]["paper"]["steps"]]
    assert "bash .ci/run" in commands
    assert "./run_all.sh --profile smoke" in commands


def test_each_notebook_has_its_place_in_the_graph_and_the_other_way_round() -> None:
    notebooks = {path.stem for path in NOTEBOOKS}
    reads, writes = (
        re.search(rf"^{name} = {{(.*?)^}}", SNAKEFILE, re.MULTILINE | re.DOTALL) for name in ("READS", "WRITES")
    )
    assert reads is not None
    assert writes is not None
    # What a study's notebook reads, the layout says of all of them.
    assert set(re.findall(r'^    "(\w+)":', reads[1], re.MULTILINE)) == notebooks - STUDIES.keys() | {"report"}
    assert set(re.findall(r'^    "(\w+)":', writes[1], re.MULTILINE)) <= notebooks | {"report"}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_rule_depends_on_the_sections_its_notebook_reads(path: Path) -> None:
    """What a notebook takes from `cfg` must be among the sections whose change makes it stale."""
    assert "*layout.depends(step)" in SNAKEFILE
    sections = set(SECTIONS.get(path.stem, ()))
    assert sections <= set(Profile.model_fields)
    used = {
        node.attr
        for node in ast.walk(ast.parse(notebook_code(path)))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "cfg"
    }
    assert used & set(Profile.model_fields) - {"name"} <= sections


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_prose_and_calls(path: Path) -> None:
    """No class, and no function longer than five lines, lives in a notebook."""
    check_parameters(path, {"profile": "smoke"})
    assert str(notebook_cells(path)[0]["source"]).startswith("# ")
    for node in ast.walk(ast.parse(notebook_code(path))):
        assert not isinstance(node, ast.ClassDef)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno - node.lineno < 5


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_committed_notebook_is_clean(path: Path) -> None:
    """Small; outputs only where nbval compares them; nothing of papermill or of somebody's machine."""
    assert path.stat().st_size < MEGABYTE
    content = json.loads(path.read_text())
    assert content["metadata"]["kernelspec"]["name"] == "python3"
    assert set(content["metadata"]) <= {"kernelspec", "language_info"}
    for cell in content["cells"]:
        assert set(cell["metadata"]) <= {"tags"}
        if cell["cell_type"] != "code":
            continue
        if "# NBVAL_CHECK_OUTPUT" not in "".join(cell["source"]):
            assert cell["outputs"] == []
        if cell["outputs"]:
            assert cell["execution_count"] is not None, "nbval refuses outputs of a cell that says it never ran"


@pytest.mark.parametrize("path", EXECUTED + STUDY, ids=lambda path: f"{path.parts[-3]}-{path.stem}")
def test_an_executed_copy_matches_its_source(path: Path) -> None:
    """The committed runs are of the notebooks as they are now."""
    assert path.stat().st_size < MEGABYTE
    cells = [cell for cell in notebook_cells(path) if cell["id"] != "injected-parameters"]
    source = notebook_cells(ROOT / "notebooks" / path.name)
    assert [cell["source"] for cell in cells] == [cell["source"] for cell in source]
    assert "papermill" not in {key for cell in cells for key in dict(cell["metadata"])}  # type: ignore[call-overload]
    outputs = [output for cell in cells for output in cell.get("outputs", [])]  # type: ignore[attr-defined]
    assert not [output for output in outputs if "image/png" in output.get("data", {})], "git has it in figures/"
    for source in re.findall(r'<img src=\\"([^"\\]+)\\"', path.read_text(encoding="utf-8")):
        assert (path.parent / source).is_file(), source


def test_the_committed_run_is_complete() -> None:
    assert [path.stem for path in EXECUTED] == sorted(Layout("demo").notebooks)
    assert [path.stem for path in STUDY] == ["01_data_prep", "09_control_study"]
    for record in ("demo/provenance/03_training.json", "study/provenance/train_distill_1.json"):
        assert re.fullmatch("[0-9a-f]{40}", read_json(ROOT / "results" / record)["commit"])


def test_the_committed_study_follows_from_its_scores() -> None:
    """Every job's scores are there, and the table of differences is made of them."""
    profile, paths = load_profile("study"), RunPaths("study")
    table = pd.read_csv(paths.tables / "study_differences.csv")
    fresh = control_study.compare_pairs(profile, control_study.load_scores(profile, paths))
    fresh = fresh[fresh["where"].eq("all pixels")].replace({"metric": HEADERS})
    keys, numbers = ["arm", "against", "data", "metric"], ["difference", "p_value"]
    pd.testing.assert_frame_equal(*(rows.set_index(keys)[numbers].sort_index() for rows in (table, fresh)))


def test_the_readme_s_tables_are_those_of_the_demo_run() -> None:
    assert tables_main(["readme", "--check"]) == 0


@pytest.mark.parametrize("path", sorted((ROOT / "profiles").glob("*.yaml")), ids=lambda path: path.stem)
def test_a_profile_is_valid_and_says_what_it_is(path: Path) -> None:
    load_profile(path.stem)
    text = path.read_text()
    assert text.startswith(f"# {path.stem}: ")
    for word in ("command", "gives", "takes", "expect"):
        assert re.search(rf"^#   {word}\s+\S", text, re.MULTILINE)


def test_functions_are_short() -> None:
    """At most 60 lines, docstring included."""
    for path in sorted([*(ROOT / "zdlib").rglob("*.py"), *(ROOT / "scenes").rglob("*.py")]):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                assert (node.end_lineno or 0) - node.lineno + 1 <= 60, f"{path}: {node.name}"


def test_git_keeps_no_large_file_and_no_machine_path() -> None:
    for path in tracked():
        if not path.is_file():
            continue
        assert path.stat().st_size <= 45 * 1024**2, path
        if path.suffix in {".py", ".md", ".yaml", ".yml", ".toml", ".ipynb", ".json", ".html", ".csv", ".sh", ".cff"}:
            text = path.read_text(encoding="utf-8")
            assert not re.search(r"(?<![\w/])/(?:root|work|home/\w+|Users/\w+|opt/\w+)/", text), path


def test_figures_in_git_are_small() -> None:
    """A PDF of each is made by the run, and is not kept."""
    kept = [path for path in tracked() if path.is_relative_to(ROOT / "figures")]
    assert all(path.suffix == ".png" for path in kept)
    assert not [path for path in kept if path.is_file() and path.stat().st_size > PNG_LIMIT]


def test_a_checkout_is_small() -> None:
    """Most of it is embedded data, below; then golden values, a network (8 MB each), and studies' scores (26 MB)."""
    streets = ROOT / "data" / "streets"
    sizes = {path: path.stat().st_size for path in tracked() if path.is_file()}
    assert sum(size for path, size in sizes.items() if not path.is_relative_to(streets)) < 105 * 1024**2
    assert sum(sizes.values()) < 148 * 1000**2


@pytest.mark.parametrize(("name", "mebibytes"), [("rooms", 60), ("streets", 40)])
def test_embedded_data_fit_in_git(name: str, mebibytes: int) -> None:
    sizes = [path.stat().st_size for path in (ROOT / "data" / name).iterdir()]
    assert sum(sizes) <= mebibytes * 1024**2
