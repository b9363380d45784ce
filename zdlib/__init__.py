"""Zoe-Distill, reproducible: the library behind the notebooks.

`zdlib.create_model(name, weights=None)` and `zdlib.list_models()` are here for convenience; they load torch only when
they are used.
"""

from typing import Any

__version__ = "0.1.0"
__all__ = ["create_model", "list_models"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from zdlib import models

        return getattr(models, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
