"""`import zdlib`: a few names, each loaded when it is first used."""

import subprocess
import sys
from importlib import import_module

import pytest
import tiny_paper as tiny

import zdlib
from zdlib import _LAZY


def python(code: str) -> str:
    surroundings = {"cwd": tiny.ROOT, "env": tiny.surroundings(tiny.ROOT)}
    done = subprocess.run([sys.executable, "-c", code], **surroundings, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_import_loads_nothing_else() -> None:
    """No torch, no NumPy and no other module of the library; not for `dir` either."""
    heavy = "m.split('.')[0] in {'torch', 'numpy', 'pandas'} or m.startswith('zdlib.')"
    assert python(f"import sys, zdlib; dir(zdlib); print([m for m in sys.modules if {heavy}])") == "[]"


def test_a_profile_is_read_without_torch() -> None:
    assert python("import sys, zdlib; zdlib.load_profile('smoke'); print('torch' in sys.modules)") == "False"


@pytest.mark.parametrize("name", zdlib.__all__)
def test_every_name_is_what_its_module_defines(name: str) -> None:
    module, attribute = _LAZY[name].split(":")
    assert getattr(zdlib, name) is getattr(import_module(module), attribute)
    assert getattr(zdlib, name).__doc__
    assert name in dir(zdlib)


def test_the_face_has_no_other_names() -> None:
    assert sorted(zdlib.__all__) == zdlib.__all__ == sorted(_LAZY)
    with pytest.raises(AttributeError, match="module 'zdlib' has no attribute 'no_such_name'"):
        _ = zdlib.no_such_name
