"""The notebooks keep the rules of the house: prose, parameters, a few calls; work lives in the library."""

import ast
import builtins
import json
import re
from pathlib import Path
from types import ModuleType

import nbformat
import pytest

from zdlib.config import load_profile
from zdlib.paper import evaluations
from zdlib.paths import repo_root
from zdlib.pipeline.layout import FRONT, Layout

NOTEBOOKS = sorted((repo_root() / "notebooks").glob("*.ipynb"))
NAMES = [
    "00_abstract",
    "01_data_prep",
    "02_architecture",
    "03_training",
    "04_nyu_eval",
    "05_ibims_eval",
    "06_parameter_table",
    "07_plots",
    "08_protocol_audit",
    "09_control_study",
    "10_speed",
    "11_photographs",
    "12_heads",
    "13_domains",
    "14_depth_anything",
    "15_unsupervised_stereo",
    "16_semantic_guidance",
    "17_when_labels_help",
    "99_conclusion",
]
CHECKED = "# NBVAL_CHECK_OUTPUT"


def read(path: Path) -> nbformat.NotebookNode:
    return nbformat.read(path, as_version=4)


def code(path: Path) -> list[str]:
    return [cell.source for cell in read(path).cells if cell.cell_type == "code"]


def test_all_are_there():
    assert [path.stem for path in NOTEBOOKS] == NAMES


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_form(path):
    notebook = read(path)
    nbformat.validate(notebook)
    assert path.stat().st_size < 1_000_000
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    assert notebook.metadata.kernelspec.name == "python3"
    first, second, *_ = notebook.cells
    numbered = "" if path.stem in FRONT else r"\d+ · "
    assert re.match(rf"# {numbered}\w", first.source), "a title cell comes first"
    assert second.metadata.get("tags") == ["parameters"]
    for cell in notebook.cells:
        assert cell.metadata in ({}, {"tags": ["parameters"]})
        if cell.cell_type == "code":
            assert (cell.execution_count is None) == (not cell.outputs), "a count where there is output"
            assert bool(cell.outputs) == (CHECKED in cell.source), cell.source


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_no_work_in_notebooks(path):
    for source in code(path):
        assert len(source.splitlines()) <= 25, source
        for node in ast.walk(ast.parse(source)):
            assert not isinstance(node, ast.ClassDef | ast.While | ast.Try | ast.With) or "inference_mode" in source
            if isinstance(node, ast.FunctionDef | ast.For):
                assert node.end_lineno is not None
                assert node.end_lineno - node.lineno < 5, source


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_prose_explains_and_quotes(path):
    prose = "\n".join(cell.source for cell in read(path).cells if cell.cell_type == "markdown")
    assert len(prose.split()) > 120
    for link in re.findall(r"\]\((\d\d_\w+\.ipynb)\)", prose):
        assert (path.parent / link).is_file(), link


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_caption_is_given(path):
    for node in ast.walk(ast.parse("\n".join(code(path)))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id.startswith("save_"):
            assert any(keyword.arg == "caption" for keyword in node.keywords), ast.unparse(node)


def test_the_committed_run_has_what_the_notebooks_name():
    """Every table and figure that a notebook of the demo names, and none that no notebook names any more."""
    layout = Layout("demo")
    named = [path for step in layout.notebooks for path in layout.shown(step)]
    assert len(named) == len(set(named))
    kept = [*layout.paths.tables.glob("*.*"), *layout.paths.figures.glob("*.png"), *layout.paths.notebooks.glob("*.*")]
    assert {layout.root / path for path in named if not path.endswith(".pdf")} == set(kept)


def test_pipeline_knows_the_protocols():
    layout = Layout("smoke")
    for dataset, protocols in (("nyu", evaluations.NYU_PROTOCOLS), ("ibims", evaluations.IBIMS_PROTOCOLS)):
        judged = layout.judged(dataset)
        for protocol in protocols:
            for key in ("constant_depth", "mean_depth_map", *load_profile("smoke").runs):
                assert evaluations.per_image_path(layout.paths, protocol, key).stem in judged


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_checked_cells_carry_their_output(path):
    for cell in read(path).cells:
        if CHECKED in cell.get("source", "") and cell.cell_type == "code":
            text = json.dumps(cell.outputs)
            assert "Traceback" not in text
            assert "0x" not in text, "an address would differ at every run"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_name_is_defined(path):
    """A renamed module or function is noticed here, not minutes into a run."""
    tree = ast.parse("\n".join(code(path)))
    imported: dict[str, object] = {}
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            exec(ast.unparse(node), imported)
    defined, used = {*imported, *dir(builtins)}, set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            (used if isinstance(node.ctx, ast.Load) else defined).add(node.id)
        elif isinstance(node, ast.arg | ast.FunctionDef):
            defined.add(node.arg if isinstance(node, ast.arg) else node.name)
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            owner = imported.get(node.value.id)
            assert not isinstance(owner, ModuleType) or hasattr(owner, node.attr), ast.unparse(node)
    assert used <= defined
