"""Networks small enough for tests, under names that `build_encoder` takes."""

from typing import Any

import torch

from zdlib.models import ZoeDepth, create_model  # before timm, which it prepares for

# isort: split
from timm.models import register_model
from timm.models.beit import Beit
from timm.models.swin_transformer_v2 import SwinTransformerV2


@register_model
def swinv2_nano(pretrained: bool = False, **changes: Any) -> SwinTransformerV2:
    """Windows of 4 on a grid of 16: the first two stages shift theirs, as in the B model."""
    return SwinTransformerV2(img_size=64, window_size=4, embed_dim=16, depths=(2, 2, 2, 2), num_heads=(1, 2, 4, 4))


@register_model
def beit_nano(pretrained: bool = False, **changes: Any) -> Beit:
    return Beit(img_size=64, embed_dim=32, depth=4, num_heads=2, init_values=0.1, use_rel_pos_bias=True)


def nano(encoder: str, seed: int = 0, **changes: Any) -> ZoeDepth:
    """A small ZoeDepth in eval mode, with weights for which every part of it matters."""
    torch.manual_seed(seed)
    small = {"input_size": (64, 64), "decoder_channels": 16, "bin_embedding_dim": 16, "keep_aspect_ratio": False}
    name = "zoe_beit_b" if encoder.startswith("beit") else "zoe_swin2_t"
    return stir(create_model(name, encoder=encoder, **(small | changes)))


def stir(model: torch.nn.Module) -> Any:
    """Away from the zeros and ones that norms, gains and tables start with."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" in name or "gamma" in name:
                parameter += torch.rand_like(parameter)
            elif "logit_scale" in name:
                parameter += torch.rand_like(parameter) * 3  # some above the limit of ln 100
            elif "relative_position_bias_table" in name or name.endswith("_bias") or "cpb_mlp" in name:
                parameter += torch.randn_like(parameter)
    return model
