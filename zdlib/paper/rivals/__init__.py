"""Networks of other papers, built from their descriptions so that their parameters and operations can be counted."""

from zdlib.models._torchvision import ensure_torchvision

ensure_torchvision()  # before anything imports timm

from zdlib.paper.rivals.adabins import AdaBins  # noqa: E402
from zdlib.paper.rivals.newcrfs import NeWCRFs  # noqa: E402

__all__ = ["AdaBins", "NeWCRFs"]
