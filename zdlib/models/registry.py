"""Every model by name."""

from typing import Any

from zdlib.errors import ZDError
from zdlib.models.zoe.architecture import Architecture, Domain

_SWIN2 = "swinv2_{}_window12to24_192to384"
_NYU, _KITTI = Domain(name="nyu"), Domain(name="kitti", max_depth=80.0)
# What the released NK weights are: its configuration's attractor counts land in the wrong argument, so that every
# level has the default 16, and its output layer does not read the relative depth.
_NK: dict[str, Any] = {
    "domains": (_NYU, _KITTI),
    "n_attractors": (16, 16, 16, 16),
    "projector_hidden": 64,
    "bottleneck": 4,
    "rel_depth_in_output": False,
}


def _beit(size: str = "large", **changes: Any) -> Architecture:
    return Architecture(encoder=f"beit_{size}_patch16_384", keep_aspect_ratio=True, **changes)


def _swin(encoder: str, side: int = 384, **changes: Any) -> Architecture:
    """These encoders of MiDaS see a square: the image is stretched."""
    return Architecture(encoder=encoder, input_size=(side, side), **changes)


ARCHITECTURES: dict[str, Architecture] = {
    "zoe_beit_l": _beit(),
    "zoe_beit_l_512": Architecture(encoder="beit_large_patch16_512", input_size=(512, 512), keep_aspect_ratio=True),
    "zoe_beit_b": _beit("base"),
    # Trained with bins up to 80 m; the released entry point forgets to say so and clips everything to 10 m.
    "zoe_k_beit_l": _beit(input_size=(384, 768), bin_type="normed", domains=(_KITTI,)),
    "zoe_nk_beit_l": _beit(**_NK),
    "zoe_swin_l": _swin("swin_large_patch4_window12_384"),
    "zoe_swin2_t": _swin("swinv2_tiny_window16_256", 256),
    "zoe_swin2_b": _swin(_SWIN2.format("base")),
    "zoe_swin2_l": _swin(_SWIN2.format("large")),
    "zoe_distill_swin2_b": _swin(_SWIN2.format("base")),
    "zoe_distill_lite0": Architecture(
        encoder="tf_efficientnet_lite0",
        input_size=(192, 256),
        decoder_channels=64,
        bin_embedding_dim=64,
        segmentation_channels=(64, 64, 32, 32, 16),
    ),
}


def list_models() -> list[str]:
    """The names that `create_model` takes."""
    return sorted(ARCHITECTURES)


def architecture(name: str, **changes: Any) -> Architecture:
    """That model's description, with any field changed.

    Raises:
        ZDError: unknown name.
    """
    if name not in ARCHITECTURES:
        raise ZDError(f"{name}: no such model: choose one of {', '.join(list_models())}")
    return Architecture.model_validate(ARCHITECTURES[name].model_dump() | changes)
