"""Networks: descriptions, building, loading, inspection. Knows no data set, no metric and no training.

Read for one paper: `encoders`, `layers`, then its folder (`zoe/network.py` first).
"""

from zdlib.models._torchvision import ensure_torchvision

ensure_torchvision()  # before anything imports timm or segmentation-models-pytorch
