"""A quick start for commands that compile nothing.

`torch._dynamo`, PyTorch's compiler, is imported by torchvision, to ask it whether a device is known to it, by timm and
by PyTorch's own initialisation of weights, to mark functions as not for it. With Inductor and torch.distributed behind
it, that is two fifths of the processor's time until the first picture is done.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import Any

_COMPILER, _UTILITIES = "torch._dynamo", "torch._dynamo.utils"


class _Mention(ModuleType):
    """Stands for a module of the compiler while it is only mentioned; whoever wants more of it gets the real one."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # what Python itself asks of any module
            raise AttributeError(name)
        _forget()
        return getattr(import_module(self.__name__), name)


@contextmanager
def without_compiler() -> Iterator[None]:
    """Within this context the compiler is not imported by those who only mention it; afterwards it is as ever.

    Nothing happens where it has been imported already.
    """
    if _COMPILER not in sys.modules:
        compiler, utilities = _Mention(_COMPILER), _Mention(_UTILITIES)
        vars(compiler).update(__path__=[], disable=_disable)
        vars(utilities).update(is_compile_supported=_is_compile_supported)
        sys.modules.update({_COMPILER: compiler, _UTILITIES: utilities})
    try:
        yield
    finally:
        _forget()


def _forget() -> None:
    for name in (_COMPILER, _UTILITIES):
        if isinstance(sys.modules.get(name), _Mention):
            del sys.modules[name]


def _disable(function: Callable[..., Any] | None = None, *options: object, **more: object) -> Callable[..., Any]:
    """The function as it is: whoever starts this way compiles nothing."""
    return function if function is not None else lambda decorated: decorated


def _is_compile_supported(device: str) -> bool:
    """The compiler's own answer."""
    _forget()
    answer: bool = import_module(_UTILITIES).is_compile_supported(device)
    return answer
