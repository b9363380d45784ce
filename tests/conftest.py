"""Shapes and dtypes of jaxtyping annotations are checked in every test of the library; torch runs on one thread."""

import builtins
import signal
import sys
from collections.abc import Callable
from typing import Any

import pytest
from jaxtyping import install_import_hook

install_import_hook("zdlib", "beartype.beartype")

# A shell lets what it starts in the background ignore Ctrl-C, and so would every process that a test interrupts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_configure(config: pytest.Config) -> None:
    """Prepare torch in every process that runs tests: not in one that hands them to workers."""
    if config.getoption("numprocesses", default=None) and not hasattr(config, "workerinput"):
        return
    import torch

    from zdlib.models._torchvision import ensure_torchvision

    ensure_torchvision()  # for tests that import timm or transformers themselves
    # Small tensors gain nothing from threads, and on a busy machine their spinning costs minutes.
    torch.set_num_threads(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with the most slow tests come first, so that no worker begins a long one when the others have ended."""
    slow: dict[object, int] = {}
    for item in items:
        slow[item.path] = slow.get(item.path, 0) - (item.get_closest_marker("slow") is not None)
    items.sort(key=lambda item: slow[item.path])


@pytest.fixture
def without_package(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Hides an installed package from every import that comes after."""

    def hide(package: str) -> None:
        real = builtins.__import__

        def without(name: str, *rest: Any, **more: Any) -> Any:
            if name == package:
                raise ImportError(name)
            return real(name, *rest, **more)

        monkeypatch.delitem(sys.modules, package, raising=False)
        monkeypatch.setattr(builtins, "__import__", without)

    return hide
