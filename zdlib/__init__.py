"""Zoe-Distill, reproducible: the library behind the notebooks, and its public face.

`predict` gives the depth of a picture, `create_model` and `list_models` networks, `depth_metrics` the scores of a
depth map, `protocol` the rules of a benchmark, `load_profile` a profile. Each is loaded when it is used:
`import zdlib` loads no torch.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"
__all__ = ["create_model", "depth_metrics", "list_models", "load_profile", "predict", "protocol"]

# `zdlib.source_closure` reads this table: a name counts for those who take it, not for all who import zdlib.
_LAZY = {
    "create_model": "zdlib.models.catalogue:create_model",
    "depth_metrics": "zdlib.metrics.depth:depth_metrics",
    "list_models": "zdlib.models.catalogue:list_models",
    "load_profile": "zdlib.config:load_profile",
    "predict": "zdlib.evaluate.pictures:predict",
    "protocol": "zdlib.metrics.protocols:get",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _LAZY[name].split(":")
    return getattr(import_module(module), attribute)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
