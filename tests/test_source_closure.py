"""What a notebook or a module depends on is read from syntax trees, and reaches as far as it should."""

import json
from pathlib import Path

import pytest
import tiny_paper as tiny

from zdlib.errors import ZDError
from zdlib.source_closure import closure, fingerprint_of, fingerprints, notebook_code, notebook_hash, packages

FACE = """from importlib import import_module

_LAZY = {"make": "zdlib.a:make_it", "score": "zdlib.e:score"}
__version__ = "1"


def __getattr__(name):
    return import_module(_LAZY[name].split(":")[0])
"""
FILES = {
    "zdlib/__init__.py": FACE,
    "zdlib/a.py": "from zdlib import b\nimport numpy as np\n",
    "zdlib/b.py": "def f():\n    from zdlib.sub.c import g\n    return g\n",
    "zdlib/sub/__init__.py": "print('imported')\n",
    "zdlib/sub/c.py": (
        "from pathlib import Path\nfrom .d import x\nfrom ..e import y\n"
        "TABLE = Path(__file__).with_name('numbers.csv')\n"
    ),
    "zdlib/sub/d.py": "import zdlib.a\n",  # a circle
    "zdlib/sub/numbers.csv": "1\n",
    "zdlib/sub/others.csv": "2\n",
    "zdlib/quiet/__init__.py": '"""Only says what the package is for."""\n',
    "zdlib/quiet/q.py": "import yaml\n",
    "zdlib/e.py": "",
    "zdlib/f.py": "import importlib\nimportlib.import_module('zdlib.e')\n",
    "zdlib/unused.py": "",
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, content in FILES.items():
        write(tmp_path / name, content)
    return tmp_path


def write(path: Path, content: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def names(paths: list[Path]) -> list[str]:
    return [path.relative_to("zdlib").as_posix() for path in paths]


def needs(root: Path, code: str) -> list[str]:
    """The closure of a module of the package that holds `code`."""
    return names(closure(write(root / "zdlib/asking.py", code), root))


# --------------------------------------------------------------------------------------------------- closures
WHOLE = ["a.py", "b.py", "e.py", "sub/__init__.py", "sub/c.py", "sub/d.py", "sub/numbers.csv"]


def test_closure_follows_every_kind_of_import(root: Path) -> None:
    tiny.write_notebook(root / "notebooks/01.ipynb", "%matplotlib inline\n!ls\nfrom zdlib.a import b")
    assert names(closure(root / "notebooks/01.ipynb", root)) == WHOLE


def test_closure_of_a_module_leaves_the_module_out(root: Path) -> None:
    assert names(closure(root / "zdlib/f.py", root)) == ["e.py"]
    assert "a.py" not in names(closure(root / "zdlib/a.py", root))


def test_closure_can_do_without_a_module_and_what_it_alone_needs(root: Path) -> None:
    asking = write(root / "zdlib/g.py", "from zdlib import e, b\n")
    without = [root / "zdlib/sub/c.py"]
    assert names(closure(asking, root, without)) == ["b.py", "e.py", "sub/__init__.py"]
    assert not packages(asking, root, without)


def test_markdown_imports_nothing(root: Path) -> None:
    tiny.write_notebook(root / "01.ipynb")
    content = json.loads((root / "01.ipynb").read_text())
    content["cells"][0]["source"] = "import zdlib.a"
    (root / "01.ipynb").write_text(json.dumps(content))
    assert closure(root / "01.ipynb", root) == []


@pytest.mark.parametrize(
    "code",
    [
        "# import zdlib.e\n",
        '"""See zdlib.e and numbers.csv."""\n',
        'HOME = {"e": "zdlib.e"}\n',
        "import importlib\nlook_up = {}\nimportlib.import_module(look_up['zdlib.e'])\n",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from zdlib import e\n",
        "import typing\nif typing.TYPE_CHECKING:\n    import zdlib.e\nelse:\n    import math\n",
        'NAME = "numbers.csv"\n',
    ],
)
def test_text_and_type_checkers_imports_are_no_imports(root: Path, code: str) -> None:
    assert needs(root, code) == []


@pytest.mark.parametrize(
    "code",
    [
        "from zdlib import e",
        "import zdlib.e",
        "import zdlib.e as other",
        "from . import e",
        "from .e import anything",
        "from importlib import import_module\nimport_module('zdlib.e')",
        "def f():\n    if True:\n        import zdlib.e",
        "try:\n    import zdlib.e\nexcept ImportError:\n    pass",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import zdlib.a\nelse:\n    import zdlib.e",
    ],
)
def test_every_way_to_import_counts(root: Path, code: str) -> None:
    assert needs(root, code) == ["e.py"]


def test_what_decides_staleness_is_no_result_s_source(root: Path) -> None:
    write(root / "zdlib/source_closure.py", "import zdlib.e\n")
    assert needs(root, "from zdlib.source_closure import closure\n") == []


# -------------------------------------------------------------------------------------------- packages' faces
@pytest.mark.parametrize(
    "code",
    [
        "from zdlib import make",
        "import zdlib\nzdlib.make()",
        "import zdlib as z\nprint(z.make)",
        "import zdlib.b\nzdlib.make",
    ],
)
def test_a_lazy_name_counts_for_those_who_take_it(root: Path, code: str) -> None:
    assert needs(root, code) == ["__init__.py", *WHOLE]


def test_a_lazy_name_counts_for_nobody_else(root: Path) -> None:
    assert needs(root, "from zdlib import score") == ["__init__.py", "e.py"]
    assert needs(root, "from zdlib import e") == ["e.py"]
    assert needs(root, "from zdlib import __version__") == ["__init__.py"]


def test_an_init_that_does_something_counts_for_all_who_pass_through(root: Path) -> None:
    assert needs(root, "import zdlib.sub.d") == WHOLE
    assert needs(root, "import zdlib.quiet.q") == ["quiet/q.py"]
    for statement in (
        "import zdlib.e",
        "VALUE = max(1, 2)",
        "@print\ndef f(): ...",
        "f()",
        "class A: ...",
        "import numpy",
    ):
        write(root / "zdlib/quiet/__init__.py", f"{statement}\n")
        assert "quiet/__init__.py" in needs(root, "import zdlib.quiet.q"), statement


# ------------------------------------------------------------------------------------------------- data files
@pytest.mark.parametrize(
    "expression",
    [
        "Path(__file__).with_name('numbers.csv')",
        "Path(__file__).parent / 'numbers.csv'",
        "Path(__file__).resolve().parent.joinpath('numbers.csv')",
        "Path(__file__).parents[1] / 'sub' / 'numbers.csv'",
    ],
)
def test_a_data_file_counts_where_its_path_is_built(root: Path, expression: str) -> None:
    code = f"from pathlib import Path\n\n\ndef load():\n    return open({expression})\n"
    write(root / "zdlib/sub/e.py", code)
    assert names(closure(root / "zdlib/sub/e.py", root)) == ["sub/numbers.csv"]


def test_other_paths_are_no_data(root: Path) -> None:
    code = (
        "from pathlib import Path\nhere = Path(__file__)\nPath('sub/numbers.csv')\nhere.with_name(input())\n"
        "Path(__file__).parent\nPath(__file__).with_name('e.py')\nPath(__file__).with_name('absent.csv')\n"
        "Path(__file__).parents[1] / 'outside.txt'\n"
    )
    write(root / "outside.txt", "")
    assert needs(root, code) == []


# ----------------------------------------------------------------------------------------------- fingerprints
CODE = """from zdlib import e


class A:
    x: "float32[h w]" = 1.5

    def f(self, a, *, b=None):
        return f"{a!r:>{b}}" if a else [self.x, 0.1, ...]
"""
SAME = [
    CODE.replace("\n\n\n", "\n"),
    f'"""What it is for."""\n{CODE}',
    CODE.replace("class A:", 'class A:\n    """A class."""\n'),
    CODE.replace("return", '"""Returns."""\n        # a comment\n        return'),
    CODE.replace(" = 1.5", ' = 1.5\n    """An attribute."""\n'),
    CODE.replace("[self.x, 0.1, ...]", "[\n  self.x,\n  0.10,\n  (...),\n  ]"),
    CODE.replace('"float32[h w]"', "'float32[h w]'"),
]
OTHER = [
    CODE.replace("1.5", "1.25"),
    CODE.replace("1.5", "'1.5'"),
    CODE.replace("b=None", "b=False"),
    CODE.replace("*, ", ""),
    CODE.replace("!r", ""),
    CODE.replace("h w", "w h"),
    CODE.replace("import e", "import e as x"),
    CODE.replace("self.x, 0.1", "0.1, self.x"),
    CODE.replace("...", "None"),
    CODE + "\nA()\n",
]


def fingerprint(root: Path, code: str) -> str:
    return fingerprints(write(root / "zdlib/asking.py", code), root)["zdlib/asking.py"]


def test_docstrings_comments_and_layout_change_no_fingerprint(root: Path) -> None:
    assert {fingerprint(root, code) for code in SAME} == {fingerprint(root, CODE)}


def test_whatever_may_change_a_result_changes_the_fingerprint(root: Path) -> None:
    assert len({fingerprint(root, code) for code in [CODE, *OTHER]}) == 1 + len(OTHER)


def test_a_fingerprint_does_not_depend_on_the_python(root: Path) -> None:
    """`ast.dump` writes this tree in three ways from Python 3.11 to 3.13; another value makes all results stale."""
    code = "def f(a):\n    return a\n"
    assert fingerprint(root, code) == "b29f5601d198b17d73c8a2ad149e239121e03276c73654fc6936e517dd9649a2"


def test_fingerprints_are_of_all_files_and_say_which_changed(root: Path) -> None:
    sources = [root / "zdlib/quiet/q.py", root / "zdlib/sub/c.py"]
    before = fingerprints(sources, root)
    assert names([Path(name) for name in before]) == sorted([*WHOLE, "quiet/q.py"])
    assert before["zdlib/e.py"] != before["zdlib/a.py"]
    for name, content in [("zdlib/sub/numbers.csv", "3\n"), ("zdlib/e.py", "y = 1\n")]:
        (root / name).write_text(content)
        after = fingerprints(sources, root)
        assert {key for key in before if before[key] != after[key]} == {name}
        assert fingerprint_of(before) != fingerprint_of(after)
        before = after
    (root / "zdlib/e.py").write_text("y = 1  # said better\n")
    assert fingerprint_of(fingerprints(sources, root)) == fingerprint_of(before)


def test_packages_are_those_of_the_whole_closure(root: Path) -> None:
    tiny.write_notebook(root / "01.ipynb", "import yaml, os\nfrom zdlib import a")
    assert set(packages(root / "01.ipynb", root)) == {"PyYAML", "numpy"}


# ------------------------------------------------------------------------------------------- the real library
def real(name: str) -> set[str]:
    return set(names(closure(tiny.ROOT / "zdlib" / name, tiny.ROOT)))


def test_the_nyu_reader_needs_few_files_and_no_network() -> None:
    files = real("data/sets/nyu.py")
    assert {"data/classes.py", "data/nyu40.csv", "data/sample.py", "errors.py"} <= files
    assert len(files) <= 9  # one of them the gate through which every file comes in
    assert not {name for name in files if name.startswith("models/")}


def test_training_needs_the_losses_and_nothing_that_is_made_of_its_results() -> None:
    files = real("train/run.py") | real("train/methods/zoe_distill.py")
    assert {"losses/zoe_distill.py", "recipes.py", "data/sets/nyu.py", "models/zoe/network.py"} <= files
    rooms = {name.split("/")[0] for name in files if "/" in name}
    assert not rooms & {"paper", "pipeline", "bench", "apps", "evaluate"}


VARIATIONS = {"label_study.py": {"zoe_distill.py"}}  # methods that change one thing about another


def test_the_loop_needs_no_method_and_a_method_no_other() -> None:
    room = "train/methods/"
    loop = real("train/run.py")
    assert not {name for name in loop if name.startswith("models/zoe")}
    assert {name for name in loop if name.startswith(room)} <= {f"{room}__init__.py"}
    for path in (tiny.ROOT / "zdlib" / room).glob("[a-z]*.py"):
        others = {name.removeprefix(room) for name in real(f"{room}{path.name}") if name.startswith(room)}
        assert others - {"__init__.py"} == VARIATIONS.get(path.name, set())


def test_every_data_file_of_the_library_is_declared_by_a_module() -> None:
    library = tiny.ROOT / "zdlib"
    files = {path for path in library.rglob("*") if path.suffix not in {"", ".py", ".pyc"}}
    declared = fingerprints(sorted(library.rglob("*.py")), tiny.ROOT)
    there = {path.relative_to(tiny.ROOT).as_posix() for path in files}
    assert there == {name for name in declared if not name.endswith(".py")}


# -------------------------------------------------------------------------------------------------- notebooks
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
