"""What a notebook depends on, read from its code without running it.

Staleness by content: a step runs again when the text of its notebook, of any library file it imports (directly or
not), of a data file that such a file names, or the version of a package it imports has changed. Modification times,
outputs and execution counts of a notebook do not count, so opening one in JupyterLab makes nothing stale.
"""

import ast
import hashlib
import json
import re
import sys
from collections.abc import Collection, Iterator
from functools import lru_cache
from importlib import metadata
from pathlib import Path

from zdlib.errors import ZDError

PACKAGE = "zdlib"
_MAGIC = re.compile(r"^\s*[%!]", re.MULTILINE)


def notebook_cells(notebook: Path) -> list[dict[str, object]]:
    """Cells of a notebook as plain dictionaries, `source` always one string.

    Raises:
        ZDError: the file is missing or is not a notebook.
    """
    try:
        cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
        return [{**cell, "source": "".join(cell["source"])} for cell in cells]
    except FileNotFoundError as error:
        raise ZDError(f"{notebook}: no such notebook: restore it with git") from error
    except (ValueError, KeyError, TypeError) as error:
        raise ZDError(f"{notebook}: not a notebook ({type(error).__name__}: {error}): restore it with git") from error


def notebook_code(notebook: Path) -> str:
    """All code cells as one Python source; lines of IPython magic are commented out.

    Raises:
        ZDError: as `notebook_cells`.
    """
    cells = [str(cell["source"]) for cell in notebook_cells(notebook) if cell.get("cell_type") == "code"]
    return "\n".join(_MAGIC.sub("#", source) for source in cells) + "\n"


def notebook_hash(notebook: Path) -> str:
    """Hash of what a reader writes in a notebook: types, sources and tags of its cells, nothing else."""
    content = [
        (cell.get("cell_type"), cell["source"], (cell.get("metadata") or {}).get("tags"))  # type: ignore[attr-defined]
        for cell in notebook_cells(notebook)
    ]
    return hashlib.sha256(json.dumps(content, ensure_ascii=False).encode()).hexdigest()


def closure(source: Path, root: Path, without: Collection[Path] = ()) -> list[Path]:
    """Library files that `source` (a notebook or a module) needs, transitively; sorted, relative to `root`.

    Imports anywhere in the code count, those inside functions too, and so do the `__init__.py` of parent packages and
    data files of the package (`published.csv`) whose name a needed module mentions. `source` itself is not listed, nor
    are the files in `without` and what they alone need.

    Raises:
        ZDError: a needed file is not valid Python.
    """
    found: set[Path] = set()
    pending = [source]
    while pending:
        current = pending.pop()
        for path in _direct(current, root):
            if path not in found and path not in without:
                found.add(path)
                if path.suffix == ".py":
                    pending.append(path)
    return sorted(path.relative_to(root) for path in found if path != source)


def packages(source: Path, root: Path, without: Collection[Path] = ()) -> dict[str, str]:
    """Installed versions of the packages that `source` and its closure import: {distribution: version}, sorted."""
    tops = set(_tops(source))
    for path in closure(source, root, without):
        if path.suffix == ".py":
            tops |= set(_tops(root / path))
    tops -= {PACKAGE, *sys.stdlib_module_names}
    distributions = _distributions()
    names = {name for top in tops for name in distributions.get(top, [])}
    return {name: metadata.version(name) for name in sorted(names)}


@lru_cache(maxsize=1)
def _distributions() -> dict[str, list[str]]:
    return dict(metadata.packages_distributions())


def _direct(source: Path, root: Path) -> set[Path]:
    """Library files that one file names in its imports, or as data."""
    needed: set[Path] = set()
    for name in _imported(source, root):
        parts = name.split(".")
        if parts[0] != PACKAGE:
            continue
        # a.b.c may be module c of package a.b, or a name inside module a.b: the parents are imported either way.
        for depth in range(1, len(parts) + 1):
            module = root.joinpath(*parts[:depth])
            candidates = (module / "__init__.py", module.with_suffix(".py"))
            needed |= {path for path in candidates if path.is_file()}
    text = _text(source)
    needed |= {path for path in _package_data(root / PACKAGE) if path.name in text}
    return needed


def _imported(source: Path, root: Path) -> Iterator[str]:
    """Dotted names that one file imports; `from a import b` gives a.b."""
    relative = source.relative_to(root).with_suffix("").parts if source.suffix == ".py" else ()
    parent = relative[:-1]
    for node in ast.walk(_parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = parent[: len(parent) - node.level + 1] if node.level else ()
            prefix = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{prefix}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith(f"{PACKAGE}."):
            yield node.value  # importlib.import_module("zdlib.…")


def _tops(source: Path) -> Iterator[str]:
    for node in ast.walk(_parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.split(".")[0]


def _text(source: Path) -> str:
    return notebook_code(source) if source.suffix == ".ipynb" else source.read_text(encoding="utf-8")


def _parse(source: Path) -> ast.Module:
    return _parse_text(str(source), _text(source))


@lru_cache(maxsize=512)
def _parse_text(name: str, text: str) -> ast.Module:
    try:
        return ast.parse(text)
    except SyntaxError as error:
        raise ZDError(f"{name}: not valid Python ({error.msg}, line {error.lineno}): correct it") from error


@lru_cache(maxsize=8)
def _package_data(package: Path) -> tuple[Path, ...]:
    """Files of the package that are not code."""
    files = (path for path in package.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return tuple(sorted(path for path in files if path.suffix not in {".py", ".pyc"} and path.name != ".DS_Store"))
