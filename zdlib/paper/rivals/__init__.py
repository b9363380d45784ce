"""Networks of other papers, built from their descriptions: counted, and predicting as ours do.

Each file ends with the network's depth model (see `zdlib.models.depth_model`): its input rule and forward pass.
"""

from zdlib.models._torchvision import ensure_torchvision

ensure_torchvision()  # before anything imports timm

from zdlib.paper.rivals.adabins import AdaBins, AdaBinsModel  # noqa: E402
from zdlib.paper.rivals.newcrfs import NeWCRFs, NeWCRFsModel  # noqa: E402

__all__ = ["AdaBins", "AdaBinsModel", "NeWCRFs", "NeWCRFsModel"]
