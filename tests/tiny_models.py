"""Encoders of every kind, so small that whole models on them are fast, and weights that are not at rest."""

import re

import torch
from torch import nn

from zdlib.models.factory import create_model
from zdlib.models.zoe.network import ZoeDepth

import timm  # isort: skip  # after zdlib, which makes its torchvision importable
from timm.models.beit import Beit  # isort: skip
from timm.models.swin_transformer import SwinTransformer  # isort: skip
from timm.models.swin_transformer_v2 import SwinTransformerV2  # isort: skip
from timm.models.vision_transformer import VisionTransformer  # isort: skip

NATIVE = 64  # input side of all three
DEPTHS = (2, 2, 2, 2)  # blocks per stage of both Swins; every second one shifts its windows
ENCODERS = ("beit_test_patch16_64", "swin_test_window2_64", "swinv2_test_window4_64")


@timm.models.register_model
def beit_test_patch16_64(pretrained: bool = False, **kwargs: object) -> Beit:
    table = {"use_abs_pos_emb": False, "use_rel_pos_bias": True}
    return Beit(img_size=NATIVE, embed_dim=64, depth=4, num_heads=2, num_classes=0, init_values=0.1, **table)


@timm.models.register_model
def swin_test_window2_64(pretrained: bool = False, **kwargs: object) -> SwinTransformer:
    stages = {"depths": DEPTHS, "num_heads": (1, 2, 4, 8)}
    return SwinTransformer(img_size=NATIVE, embed_dim=16, window_size=2, num_classes=0, **stages)


@timm.models.register_model
def swinv2_test_window4_64(pretrained: bool = False, **kwargs: object) -> SwinTransformerV2:
    stages = {"depths": DEPTHS, "num_heads": (1, 2, 4, 8)}
    return SwinTransformerV2(img_size=NATIVE, embed_dim=16, window_size=4, num_classes=0, **stages)


@timm.models.register_model
def vit_test_patch14(pretrained: bool = False, num_classes: int = 0, **kwargs: object) -> VisionTransformer:
    """Like DINOv2, with a position table of 4 × 4."""
    small = {"img_size": 56, "patch_size": 14, "embed_dim": 32, "depth": 4, "num_heads": 2}
    return VisionTransformer(**small, init_values=1.0, num_classes=num_classes)


def tiny_model(encoder: str, name: str = "zoe_distill_lite0", seed: int = 0, **changes: object) -> ZoeDepth:
    """The registered model `name`, small in everything, on one of `ENCODERS`."""
    small = {"encoder": encoder, "decoder_channels": 32, "bin_embedding_dim": 16, "input_size": (NATIVE, NATIVE)}
    model = create_model(name, **(small | {"keep_aspect_ratio": False} | changes))
    enliven(model, seed)
    return model


def enliven(model: nn.Module, seed: int) -> None:
    """Random weights that no initialisation gives: norms, biases, tables and layer scales differ from 0 and 1 too."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        if name.endswith("logit_scale"):
            continue
        if parameter.ndim > 1 and "table" not in name:
            # The output's last layer is quiet: it sets temperatures, and float32 is coarse at the smallest.
            quiet = re.search(r"(log_binomial.*\.mlp|head\.output\.\d)\.2\.weight", name)
            noise *= ((0.02 if quiet else 2) / parameter[0].numel()) ** 0.5
        elif re.search(r"norm\w*\.weight", name):
            noise = 1 + 0.2 * noise
        elif parameter.ndim == 1:
            noise *= 0.2
        parameter.data = noise
