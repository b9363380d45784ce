"""Image → features → bins → metric depth. Read backbones, dpt, metric_bins, zoe in this order."""

from zdlib._torchvision import ensure_torchvision

ensure_torchvision()  # before anything imports timm or segmentation-models-pytorch

from zdlib.models.registry import create_model, list_models  # noqa: E402
from zdlib.models.zoe import ZoeDepth, ZoeOutput, build_model  # noqa: E402

__all__ = ["ZoeDepth", "ZoeOutput", "build_model", "create_model", "list_models"]
