"""Make torchvision importable beside a CPU-only build of torch.

The torchvision wheels on PyPI are CUDA builds. Beside a CPU build of torch their compiled operators cannot be loaded,
and `import torchvision` (and so timm and segmentation-models-pytorch) stops with "operator torchvision::nms does not
exist". Declaring the two operator schemas that torchvision registers shape functions for is enough: every Python part
then works; the compiled operators themselves (nms, roi_align, …), which this project never calls, stay unavailable.
"""

import importlib
import sys

_libraries: list[object] = []  # a Library unregisters its operators when it is collected


def ensure_torchvision() -> None:
    """Import torchvision, declaring its missing operators first where needed; a no-op where it imports by itself."""
    try:
        importlib.import_module("torchvision")
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
        for name in [m for m in sys.modules if m.split(".")[0] == "torchvision"]:
            del sys.modules[name]
        import torch

        library = torch.library.Library("torchvision", "DEF")
        for operator in ("nms", "qnms"):
            library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _libraries.append(library)
        importlib.import_module("torchvision")
