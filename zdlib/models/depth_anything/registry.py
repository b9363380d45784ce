"""Every Depth Anything network by name."""

from typing import Any

from zdlib.errors import ZDError
from zdlib.models.depth_anything.architecture import DepthAnythingConfig, MetricBinsConfig, vit
from zdlib.models.zoe.architecture import Domain

INDOOR, OUTDOOR = 20.0, 80.0  # metres: V2's metric networks were trained on Hypersim or on Virtual KITTI 2

KITTI = Domain(name="kitti", max_depth=80.0)


def _v1(size: Any, **changes: Any) -> DepthAnythingConfig:
    return DepthAnythingConfig(**vit(size, 1), align_corners=False, **changes)


def _v2(size: Any, **changes: Any) -> DepthAnythingConfig:
    return DepthAnythingConfig(**vit(size, 2), align_corners=True, **changes)


def _bins(input_size: tuple[int, int] = (392, 518), **changes: Any) -> MetricBinsConfig:
    """ZoeDepth's metric head on V1's largest, as on its own encoders (`zdlib.models.registry`)."""
    return MetricBinsConfig(**vit("large", 1), input_size=input_size, keep_aspect_ratio=True, **changes)


ARCHITECTURES: dict[str, DepthAnythingConfig | MetricBinsConfig] = {
    "depth_anything_v1_s": _v1("small"),
    "depth_anything_v1_b": _v1("base"),
    "depth_anything_v1_l": _v1("large"),
    "depth_anything_v2_s": _v2("small"),
    "depth_anything_v2_b": _v2("base"),
    "depth_anything_v2_l": _v2("large"),
    "depth_anything_v2_metric_indoor_s": _v2("small", max_depth=INDOOR),
    "depth_anything_v2_metric_indoor_b": _v2("base", max_depth=INDOOR),
    "depth_anything_v2_metric_indoor_l": _v2("large", max_depth=INDOOR),
    "depth_anything_v2_metric_outdoor_s": _v2("small", max_depth=OUTDOOR),
    "depth_anything_v2_metric_outdoor_b": _v2("base", max_depth=OUTDOOR),
    "depth_anything_v2_metric_outdoor_l": _v2("large", max_depth=OUTDOOR),
    # V1's `metric_depth`. The released outdoor file most likely has softplus bins: the authors' commands leave out the
    # option that switches to normed ones, and load strictly. Then zoe_depth_anything_n reads it, K's size apart.
    "zoe_depth_anything_n": _bins(),
    "zoe_depth_anything_k": _bins((384, 768), bin_type="normed", domains=(KITTI,)),
    "zoe_depth_anything_nk": _bins(
        domains=(Domain(name="nyu"), KITTI),
        n_attractors=(16, 16, 16, 16),
        projector_hidden=64,
        bottleneck=4,
        rel_depth_in_output=False,
    ),
    # For machines without a GPU: ImageNet's EfficientNet-lite0 plays DINOv2's part.
    "depth_anything_lite0": DepthAnythingConfig(
        encoder="tf_efficientnet_lite0", decoder_channels=64, shortest_side=192
    ),
}


def list_models() -> list[str]:
    """The names."""
    return sorted(ARCHITECTURES)


def architecture(name: str, **changes: Any) -> DepthAnythingConfig | MetricBinsConfig:
    """That network's description, with any field changed.

    Raises:
        ZDError: unknown name.
    """
    if name not in ARCHITECTURES:
        raise ZDError(f"{name}: no such Depth Anything: choose one of {', '.join(list_models())}")
    config = ARCHITECTURES[name]
    return type(config).model_validate(config.model_dump() | changes)
