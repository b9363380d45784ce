"""The house stands as it is drawn: who may import whom, no circles, few modules on the ground floor."""

import ast
import subprocess
import sys
from pathlib import Path

import grimp
import pytest
from importlinter import cli

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = sorted(path for top in ("zdlib", "scenes") for path in (ROOT / top).rglob("__init__.py"))
GROUND_FLOOR = 12  # modules that lie flat in zdlib/


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    """Every import of the library and the renderers, those inside functions too."""
    return grimp.build_graph("zdlib", "scenes", cache_dir=None)


def test_the_contracts_of_pyproject_hold(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.lint_imports(config_filename=str(ROOT / "pyproject.toml"), no_cache=True) == 0, capsys.readouterr().out


def test_no_module_imports_itself_by_a_detour(graph: grimp.ImportGraph) -> None:
    """Modules that nothing outside a circle feeds are removed one by one; what is left are circles."""
    imports = {module: set(graph.find_modules_directly_imported_by(module)) for module in graph.modules}
    while ready := {module for module, needed in imports.items() if not needed}:
        imports = {module: needed - ready for module, needed in imports.items() if module not in ready}
    assert imports == {}, "these modules import each other, or need some that do"


def test_few_modules_lie_flat() -> None:
    flat = [path.name for path in (ROOT / "zdlib").glob("*.py") if path.name not in ("__init__.py", "__main__.py")]
    assert len(flat) <= GROUND_FLOOR


@pytest.mark.parametrize("path", PACKAGES, ids=lambda path: str(path.relative_to(ROOT).parent))
def test_a_package_says_what_it_is_for(path: Path) -> None:
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    assert docstring
    assert len(docstring.splitlines()[0]) > 30


def test_importing_the_library_loads_no_torch() -> None:
    script = "import sys, zdlib; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True, cwd=ROOT)
