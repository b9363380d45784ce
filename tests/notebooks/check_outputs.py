"""The smoke run's notebooks against the outputs committed in notebooks/, and the one notebook that smoke leaves out.

A cell marked "# NBVAL_CHECK_OUTPUT" (nbval's mark) shows what depends on no data: quoted numbers, counted parameters,
recipes, arithmetic. Its output must come out again to the letter.

    python tests/notebooks/check_outputs.py    # take over what the smoke run shows; look at git diff before you commit
"""

import json
from pathlib import Path
from typing import Any

import pytest

from zdlib.files import write_text
from zdlib.paths import RunPaths, repo_root
from zdlib.pipeline.layout import STUDY, Layout
from zdlib.pipeline.notebook import run_notebook
from zdlib.source_closure import notebook_cells

CHECKED = "# NBVAL_CHECK_OUTPUT"
PATHS = RunPaths("smoke")
NOTEBOOKS = sorted((repo_root() / "notebooks").glob("*.ipynb"))
CELLS = [
    pytest.param(path, str(cell["id"]), id=f"{path.stem}-{cell['id']}")
    for path in NOTEBOOKS
    for cell in notebook_cells(path)
    if CHECKED in str(cell["source"]) and cell["cell_type"] == "code"
]


def shown(path: Path, cell_id: str) -> list[dict[str, Any]]:
    """What a cell shows, without the count of its execution."""
    (cell,) = (cell for cell in notebook_cells(path) if cell["id"] == cell_id)
    outputs = json.loads(json.dumps(cell["outputs"]))
    return [{key: _joined(value) for key, value in output.items() if key != "execution_count"} for output in outputs]


def _joined(value: Any) -> Any:
    """Texts that notebook files break into lines, whole again."""
    if isinstance(value, list):
        return "".join(value)
    return {key: _joined(part) for key, part in value.items()} if isinstance(value, dict) else value


@pytest.mark.parametrize(("path", "cell"), CELLS)
def test_a_checked_cell_shows_what_is_committed(path: Path, cell: str) -> None:
    committed = shown(path, cell)
    assert committed
    assert shown(PATHS.notebooks / path.name, cell) == committed, "if that is meant: the command in this file's head"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_smoke_run_is_of_the_notebooks_as_they_are(path: Path, tmp_path: Path) -> None:
    """Every notebook has run to its end; the study's, which no other profile runs, runs here on its stored scores."""
    executed = PATHS.notebooks / path.name
    if path.stem not in Layout("smoke").notebooks:
        assert path.stem == STUDY
        executed = tmp_path / path.name
        run_notebook(path, executed, {"profile": "smoke"}, root=repo_root(), figures=PATHS.figures)
    ran = [cell for cell in notebook_cells(executed) if cell["id"] != "injected-parameters"]
    assert [cell["source"] for cell in ran] == [cell["source"] for cell in notebook_cells(path)]
    code = [cell for cell in ran if cell["cell_type"] == "code" and cell["source"]]
    assert all(cell["execution_count"] is not None for cell in code)


def take_over() -> None:
    """Write the outputs of the smoke run's checked cells into the notebooks."""
    for path in NOTEBOOKS:
        notebook = json.loads(path.read_text(encoding="utf-8"))
        for cell in notebook["cells"]:
            if CHECKED in "".join(cell["source"]) and cell["cell_type"] == "code":
                (ran,) = (other for other in notebook_cells(PATHS.notebooks / path.name) if other["id"] == cell["id"])
                outputs = json.loads(json.dumps(ran["outputs"]))
                cell["outputs"] = [{**o, "execution_count": None} if "execution_count" in o else o for o in outputs]
        write_text(path, json.dumps(notebook, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    take_over()
