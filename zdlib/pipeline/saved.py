"""What a notebook saves, read from its calls: every table and figure has its name there and nowhere else."""

import ast
from dataclasses import dataclass
from pathlib import Path

from zdlib.errors import ZDError
from zdlib.source_closure import notebook_code

_FUNCTIONS = {"save_table": "tables", "save_figure": "figures"}


@dataclass(frozen=True)
class Saved:
    """Names of a notebook's tables and figures, in the order of its cells."""

    tables: tuple[str, ...] = ()
    figures: tuple[str, ...] = ()


def saved(notebook: Path) -> Saved:
    """The names that a notebook gives to `save_table(frame, name, …)` and `save_figure(figure, name, …)`.

    Raises:
        ZDError: it is not a notebook or not Python, saves something twice, or computes a name.
    """
    try:
        tree = ast.parse(notebook_code(notebook))
    except SyntaxError as error:
        raise ZDError(f"{notebook}: not valid Python ({error.msg}): correct it") from error
    names: dict[str, list[str]] = {kind: [] for kind in _FUNCTIONS.values()}
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]
    for call in sorted(calls, key=lambda node: node.lineno):
        function = call.func.id  # type: ignore[attr-defined]
        if function not in _FUNCTIONS:
            continue
        name = call.args[1] if len(call.args) > 1 else None
        if not (isinstance(name, ast.Constant) and isinstance(name.value, str)):
            problem = "the pipeline cannot read the name: write it as a plain string, second in the call"
            raise ZDError(f"{notebook}: {function} in '{ast.unparse(call)[:60]}': {problem}")
        if name.value in names[_FUNCTIONS[function]]:
            raise ZDError(f"{notebook}: {function} is called twice for {name.value!r}: rename one")
        names[_FUNCTIONS[function]].append(name.value)
    return Saved(**{kind: tuple(found) for kind, found in names.items()})
