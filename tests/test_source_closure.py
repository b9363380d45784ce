"""What a notebook depends on is read from its code alone."""

import json
from pathlib import Path

import pytest
import tiny_paper as tiny

from zdlib.errors import ZDError
from zdlib.source_closure import closure, notebook_code, notebook_hash, packages


@pytest.fixture
def root(tmp_path: Path) -> Path:
    files = {
        "zdlib/__init__.py": "",
        "zdlib/a.py": "from zdlib import b\nimport numpy as np\n",
        "zdlib/b.py": "def f():\n    from zdlib.sub.c import g\n    return g\n",
        "zdlib/sub/__init__.py": "",
        "zdlib/sub/c.py": "from .d import x\nfrom ..e import y\nTABLE = 'numbers.csv'\n",
        "zdlib/sub/d.py": "import zdlib.a\n",  # a circle
        "zdlib/sub/numbers.csv": "1\n",
        "zdlib/sub/others.csv": "2\n",
        "zdlib/e.py": "",
        "zdlib/f.py": "import importlib\nimportlib.import_module('zdlib.e')\n",
        "zdlib/unused.py": "",
    }
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    return tmp_path


def names(paths: list[Path]) -> list[str]:
    return [path.relative_to("zdlib").as_posix() for path in paths]


def test_closure_follows_every_kind_of_import(root: Path) -> None:
    tiny.write_notebook(root / "notebooks/01.ipynb", "%matplotlib inline\n!ls\nfrom zdlib.a import b")
    found = names(closure(root / "notebooks/01.ipynb", root))
    assert found == [
        "__init__.py",
        "a.py",
        "b.py",
        "e.py",
        "sub/__init__.py",
        "sub/c.py",
        "sub/d.py",
        "sub/numbers.csv",
    ]


def test_closure_of_a_module_leaves_the_module_out(root: Path) -> None:
    assert names(closure(root / "zdlib/f.py", root)) == ["__init__.py", "e.py"]
    assert "a.py" not in names(closure(root / "zdlib/a.py", root))


def test_closure_can_do_without_a_module_and_what_it_alone_needs(root: Path) -> None:
    (root / "zdlib/g.py").write_text("from zdlib import e, b\n")
    found = names(closure(root / "zdlib/g.py", root, without=[root / "zdlib/sub/c.py"]))
    assert found == ["__init__.py", "b.py", "e.py", "sub/__init__.py"]
    assert not packages(root / "zdlib/g.py", root, without=[root / "zdlib/sub/c.py"])


def test_markdown_imports_nothing(root: Path) -> None:
    tiny.write_notebook(root / "01.ipynb")
    content = json.loads((root / "01.ipynb").read_text())
    content["cells"][0]["source"] = "import zdlib.a"
    (root / "01.ipynb").write_text(json.dumps(content))
    assert closure(root / "01.ipynb", root) == []


def test_packages_are_those_of_the_whole_closure(root: Path) -> None:
    tiny.write_notebook(root / "01.ipynb", "import yaml, os\nfrom zdlib import a")
    assert set(packages(root / "01.ipynb", root)) == {"PyYAML", "numpy"}


def test_real_training_needs_the_losses_and_not_the_figures() -> None:
    found = names(closure(tiny.ROOT / "zdlib" / "train" / "run.py", tiny.ROOT))
    assert {"losses/zoe_distill.py", "recipes.py", "data/sets/nyu.py", "models/zoe/network.py"} <= set(found)
    assert not {"paper/figures.py", "paper/tables.py", "pipeline/run.py"} & set(found)


def test_hash_counts_sources_and_tags_only(tmp_path: Path) -> None:
    path = tmp_path / "01.ipynb"
    tiny.write_notebook(path, "x = 1")
    first = notebook_hash(path)
    content = json.loads(path.read_text())
    content["metadata"]["kernelspec"] = {"name": "other", "display_name": "Other", "language": "python"}
    content["cells"][-1] |= {"execution_count": 3, "metadata": {"scrolled": True}}
    path.write_text(json.dumps(content))
    assert notebook_hash(path) == first
    content["cells"][-1]["metadata"]["tags"] = ["parameters"]
    path.write_text(json.dumps(content))
    assert notebook_hash(path) != first
    tiny.write_notebook(path, "x = 2")
    assert notebook_hash(path) != first


def test_magic_lines_are_commented_out(tmp_path: Path) -> None:
    tiny.write_notebook(tmp_path / "01.ipynb", "%load_ext x\nn = 7 % 4\n  !ls")
    assert notebook_code(tmp_path / "01.ipynb").endswith("#load_ext x\nn = 7 % 4\n#ls\n")


@pytest.mark.parametrize("content", ["", "{", "[]", '{"cells": 3}', '{"cells": [{"cell_type": "code"}]}'])
def test_what_is_not_a_notebook_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "01.ipynb").write_text(content)
    with pytest.raises(ZDError, match=r"01\.ipynb: not a notebook .*restore it with git"):
        notebook_hash(tmp_path / "01.ipynb")


def test_missing_notebook_and_bad_code_are_named(root: Path) -> None:
    with pytest.raises(ZDError, match="no such notebook"):
        notebook_hash(root / "01.ipynb")
    (root / "zdlib/e.py").write_text("def")
    with pytest.raises(ZDError, match=r"e\.py: not valid Python .*line 1"):
        closure(root / "zdlib/f.py", root)
