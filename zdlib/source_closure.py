"""What a notebook or a module depends on, read from syntax trees without running anything.

Staleness by content: a result is stale when the text of its notebook, the code of a library file that is
imported (directly or not), a data file that such a file reads, or the version of an imported package has
changed. `fingerprints` says it for files, `packages` for packages. Not counted are

* comments, layout and docstrings of library files: a fingerprint is that of the syntax tree without them;
* modification times, outputs and execution counts of a notebook: opening one makes nothing stale;
* imports for type checkers;
* an `__init__.py` that only defines names, for modules that pass through it and take none;
* this file: it decides what is stale, no result follows from it.

A data file counts where a module builds its path from `__file__` with constants, such as
`Path(__file__).with_name("published.csv")`. A name that a package gives on demand (PEP 562; from a table
`_LAZY = {"name": "module:name"}` in its `__init__.py`) counts for those who take it, and for nobody else.
"""

import ast
import hashlib
import json
import re
import sys
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata
from pathlib import Path

from zdlib.errors import ZDError

PACKAGE = "zdlib"
LIBRARY_ROOT = Path(__file__).resolve().parents[1]  # the folder that holds the package that is running
_MAGIC = re.compile(r"^\s*[%!]", re.MULTILINE)
_LAZY = "_LAZY"
# Fields of a syntax tree that say how something is written, not what it does.
_SPELLING = frozenset({"kind", "type_comment"})


# -------------------------------------------------------------------------------------------------- notebooks
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
        problem = f"{type(error).__name__}: {error}"
        raise ZDError(f"{notebook}: not a notebook ({problem}): restore it with git") from error


def notebook_code(notebook: Path) -> str:
    """All code cells as one Python source; lines of IPython magic are commented out.

    Raises:
        ZDError: as `notebook_cells`.
    """
    cells = [str(cell["source"]) for cell in notebook_cells(notebook) if cell.get("cell_type") == "code"]
    return "\n".join(_MAGIC.sub("#", source) for source in cells) + "\n"


def notebook_hash(notebook: Path) -> str:
    """Hash of what a reader writes in a notebook: types, sources and tags of its cells, nothing else.

    Its prose counts, unlike a module's: the executed copy shows it.
    """
    content = [
        (cell.get("cell_type"), cell["source"], (cell.get("metadata") or {}).get("tags"))  # type: ignore[attr-defined]
        for cell in notebook_cells(notebook)
    ]
    return hashlib.sha256(json.dumps(content, ensure_ascii=False).encode()).hexdigest()


# --------------------------------------------------------------------------------------------------- closures
def fingerprints(
    sources: Path | Collection[Path], root: Path = LIBRARY_ROOT, without: Collection[Path] = ()
) -> dict[str, str]:
    """Every file that notebooks or modules need, themselves included, with a fingerprint of what it does.

    Two dictionaries differ exactly where something that may change a result has changed: compare them, or
    hash one with `fingerprint_of`.

    Args:
        sources: one notebook or module of the library, or several; absolute paths.
        root: the folder that holds the package and the notebooks.
        without: files to leave out, with what they alone need; absolute paths.

    Returns:
        {path relative to `root`, with slashes: SHA-256 in hexadecimal}, sorted. Of a module the hash is
        that of its syntax tree without docstrings, of a notebook `notebook_hash`, of other files that of the bytes.

    Raises:
        ZDError: a needed file is not valid Python, or a notebook is not one.
    """
    return {path.as_posix(): _fingerprint(root / path) for path in _reached(sources, root, without)}


def fingerprint_of(files: dict[str, str]) -> str:
    """One SHA-256 over the result of `fingerprints`: for what is compared as a whole and not explained."""
    lines = (f"{digest} {name}" for name, digest in sorted(files.items()))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def closure(source: Path, root: Path = LIBRARY_ROOT, without: Collection[Path] = ()) -> list[Path]:
    """Files that `source` needs, as in `fingerprints`, but itself: sorted, relative to `root`.

    Raises:
        ZDError: a needed file is not valid Python.
    """
    return [path for path in _reached(source, root, without) if root / path != source]


def packages(
    sources: Path | Collection[Path], root: Path = LIBRARY_ROOT, without: Collection[Path] = ()
) -> dict[str, str]:
    """Packages that `sources` and all they need import: {distribution: installed version}, sorted."""
    files = (root / path for path in _reached(sources, root, without) if path.suffix in {".py", ".ipynb"})
    tops = {name.split(".")[0] for path in files for name in _read(path, root).imports}
    tops -= {PACKAGE, *sys.stdlib_module_names}
    names = {name for top in tops for name in _distributions().get(top, [])}
    return {name: metadata.version(name) for name in sorted(names)}


@lru_cache(maxsize=1)
def _distributions() -> dict[str, list[str]]:
    return dict(metadata.packages_distributions())


def _reached(sources: Path | Collection[Path], root: Path, without: Collection[Path]) -> list[Path]:
    """`sources` and all that they need, relative to `root`; sorted."""
    left_out = {*without, root / PACKAGE / Path(__file__).name}
    pending = [sources] if isinstance(sources, Path) else list(sources)
    reached: set[Path] = set()
    while pending:
        path = pending.pop()
        if path in reached or path in left_out:
            continue
        reached.add(path)
        if path.suffix in {".py", ".ipynb"}:
            facts = _read(path, root)
            pending += (file for file in facts.data if file.is_file())
            pending += [file for name in facts.imports for file in _files_of(name, root)]
    return sorted(path.relative_to(root) for path in reached)


def _files_of(name: str, root: Path) -> Iterator[Path]:
    """Files of the library that run, or are read from, when the dotted `name` is imported.

    `a.b.c` may be module c of package a.b, or a name inside module a.b.
    """
    parts = name.split(".")
    if parts[0] != PACKAGE:
        return
    folder = root
    for depth, part in enumerate(parts):
        module, package = folder / f"{part}.py", folder / part / "__init__.py"
        if not package.is_file():
            if module.is_file():
                yield module
            return
        folder = folder / part
        following = parts[depth + 1] if depth + 1 < len(parts) else None
        passed = following is not None and any(p.is_file() for p in _modules(folder, following))
        facts = _read(package, root)
        if not (passed and facts.inert):
            yield package
        if not passed and following in facts.lazy:
            yield from _files_of(facts.lazy[following], root)


def _modules(folder: Path, name: str) -> tuple[Path, Path]:
    return folder / f"{name}.py", folder / name / "__init__.py"


# -------------------------------------------------------------------------------------------- one source file
@dataclass(frozen=True)
class _Facts:
    """What the syntax tree of one file says.

    Attributes:
        imports: dotted names; `from a import b` gives a.b.
        data: files, no code, whose paths it builds from `__file__`.
        lazy: names that it gives on demand, and where they come from (dotted).
        inert: whether importing it does nothing but define names.
    """

    imports: frozenset[str]
    data: frozenset[Path]
    lazy: dict[str, str]
    inert: bool


def _read(path: Path, root: Path) -> _Facts:
    text = notebook_code(path) if path.suffix == ".ipynb" else path.read_text(encoding="utf-8")
    return _facts(path, root, text)


@lru_cache(maxsize=1024)
def _facts(path: Path, root: Path, text: str) -> _Facts:
    tree = _parse(str(path), text)
    nodes = list(_running(tree))
    parent = path.relative_to(root).parent.parts if path.suffix == ".py" else ()
    built = (_path_from_file(node, path) for node in nodes)
    return _Facts(
        imports=frozenset(_imports(nodes, parent)),
        data=frozenset(file for file in built if file and _is_data(file, root)),
        lazy=_lazy_names(tree),
        inert=all(_defines_only(statement) for statement in tree.body),
    )


@lru_cache(maxsize=1024)
def _parse(name: str, text: str) -> ast.Module:
    try:
        return ast.parse(text)
    except SyntaxError as error:
        raise ZDError(f"{name}: not valid Python ({error.msg}, line {error.lineno}): correct it") from error


def _running(node: ast.AST) -> Iterator[ast.AST]:
    """Every node but those under `if TYPE_CHECKING:`, which no interpreter runs."""
    yield node
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and _dotted(child.test).split(".")[-1] == "TYPE_CHECKING":
            for statement in child.orelse:
                yield from _running(statement)
        else:
            yield from _running(child)


def _imports(nodes: list[ast.AST], parent: tuple[str, ...]) -> Iterator[str]:
    """Dotted names that a file of package `parent` imports, and what it takes from packages by attribute."""
    bound: dict[str, str] = {}
    for node in nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name
                top = alias.name.split(".")[0]
                bound |= {alias.asname: alias.name} if alias.asname else {top: top}
        elif isinstance(node, ast.ImportFrom):
            base = parent[: len(parent) - node.level + 1] if node.level else ()
            prefix = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                yield f"{prefix}.{alias.name}"
                bound[alias.asname or alias.name] = f"{prefix}.{alias.name}"
        elif isinstance(node, ast.Call) and _dotted(node.func).split(".")[-1] == "import_module":
            yield from (name for name in map(_constant, node.args[:1]) if isinstance(name, str))
    for node in nodes:
        # `import zdlib`, then `zdlib.create_model`: one more way to take a name from a package.
        first, _, rest = _dotted(node).partition(".")
        if rest and bound.get(first, "").split(".")[0] == PACKAGE:
            yield f"{bound[first]}.{rest}"


def _dotted(node: ast.AST) -> str:
    """`a.b.c` of a chain of attributes; empty for any other expression."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        before = _dotted(node.value)
        return f"{before}.{node.attr}" if before else ""
    return ""


def _path_from_file(node: ast.AST, module: Path) -> Path | None:
    """The path that an expression builds from `Path(__file__)` and constants; None for any other."""
    match node:
        case ast.Call(func=ast.Name(id="Path"), args=[ast.Name(id="__file__")]):
            return module
        case ast.Call(func=ast.Attribute(value=before, attr=method), args=arguments):
            path, names = _path_from_file(before, module), [_constant(argument) for argument in arguments]
            if path is None or None in names:
                return None
            match method, names:
                case "resolve", []:
                    return path
                case "with_name", [str(name)]:
                    return path.with_name(name)
                case "joinpath", [*parts]:
                    return path.joinpath(*map(str, parts))
        case ast.Attribute(value=before, attr="parent"):
            path = _path_from_file(before, module)
            return path and path.parent
        case ast.Subscript(ast.Attribute(value=before, attr="parents"), ast.Constant(value=int(level))):
            path = _path_from_file(before, module)
            return path and path.parents[level]
        case ast.BinOp(left=before, op=ast.Div(), right=ast.Constant(value=str(name))):
            path = _path_from_file(before, module)
            return path and path / name
    return None


def _constant(node: ast.AST) -> object:
    return node.value if isinstance(node, ast.Constant) else None


def _is_data(path: Path, root: Path) -> bool:
    """A file of the package that is not code (code counts where it is imported) and no folder."""
    return path.is_relative_to(root / PACKAGE) and path.suffix not in {"", ".py"}


def _lazy_names(tree: ast.Module) -> dict[str, str]:
    """The dictionary `_LAZY` of a package: {name given on demand: module.name}."""
    for statement in tree.body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if name == _LAZY:
                return {key: place.replace(":", ".") for key, place in ast.literal_eval(value).items()}
    return {}


def _defines_only(statement: ast.stmt) -> bool:
    """Whether a statement does no more than define a name or import from the standard library."""
    match statement:
        case ast.Assign(value=value) | ast.AnnAssign(value=ast.expr() as value) | ast.Expr(value=value):
            try:
                ast.literal_eval(value)
            except (TypeError, ValueError):
                return False
            return True
        case ast.FunctionDef(decorator_list=[]):
            return True
        case ast.Import(names=names):
            return all(alias.name.split(".")[0] in sys.stdlib_module_names for alias in names)
        case ast.ImportFrom(module=str(module), level=0):
            return module.split(".")[0] in sys.stdlib_module_names
    return False


# ----------------------------------------------------------------------------------------------- fingerprints
def _fingerprint(path: Path) -> str:
    if path.suffix == ".ipynb":
        return notebook_hash(path)
    if path.suffix == ".py":
        return _code_fingerprint(str(path), path.read_text(encoding="utf-8"))
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@lru_cache(maxsize=1024)
def _code_fingerprint(name: str, text: str) -> str:
    return hashlib.sha256(_written(_parse(name, text)).encode()).hexdigest()


def _written(node: object) -> str:
    """A syntax tree in one line, without what has no effect.

    Empty fields are left out, because Python 3.12 adds some: `ast.dump` would differ between versions.
    """
    if isinstance(node, list):
        return f"[{','.join(_written(item) for item in node if not _is_text(item))}]"
    if isinstance(node, ast.AST):
        fields = ((name, value) for name, value in ast.iter_fields(node) if name not in _SPELLING)
        kept = (f"{name}={_written(value)}" for name, value in fields if value is not None and value != [])
        return f"{type(node).__name__}({','.join(kept)})"
    return repr(node)


def _is_text(node: object) -> bool:
    """A string that stands alone as a statement: a docstring, or another comment by other means."""
    match node:
        case ast.Expr(value=ast.Constant(value=str())):
            return True
    return False
