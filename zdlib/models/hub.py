"""Released weights by name, from the Hugging Face hub: fetched once, into the hub's own cache.

ZoeDepth: Intel publishes the authors' three BEiT-L models in the layout of transformers. Depth Anything: its authors
publish both versions in their own layout and in transformers'. The latter comes first, as a safetensors file, in which
nothing can be run; of the others tensors alone are read (`zdlib.models.checkpoints.read_pickle`). The hub's client
resumes, follows redirects and names each file by its content; here its SHA-256, which the hub states for every large
file, is computed and compared as well.
"""

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from zdlib.errors import ZDError


@dataclass(frozen=True)
class Release:
    """One file of the hub.

    Attributes:
        repository: `owner/name`.
        file: in it.
        licence: of the weights.
    """

    repository: str
    file: str = "model.safetensors"
    licence: str = "Apache-2.0"


ABSENT = (401, 404)  # what the hub answers where a file is not, or a repository
_NOT_COMMERCIAL = "CC-BY-NC-4.0, not for commercial use"  # of V2's larger networks
_SIZES = {"s": ("Small", "vits"), "b": ("Base", "vitb"), "l": ("Large", "vitl")}
_SCENES = {"indoor": "Hypersim", "outdoor": "VKITTI"}


def _depth_anything() -> dict[str, tuple[Release, ...]]:
    """Each network's file in transformers' layout, and in the authors'."""
    releases: dict[str, tuple[Release, ...]] = {}
    for size, (word, vit) in _SIZES.items():
        licence = "Apache-2.0" if size == "s" else _NOT_COMMERCIAL
        first, second = "LiheYoung/depth-anything-", "depth-anything/Depth-Anything-V2-"
        releases[f"depth_anything_v1_{size}"] = (
            Release(f"{first}{word.lower()}-hf"),
            Release(f"LiheYoung/depth_anything_{vit}14", "pytorch_model.bin"),
        )
        releases[f"depth_anything_v2_{size}"] = (
            Release(f"{second}{word}-hf", licence=licence),
            Release(f"{second}{word}", f"depth_anything_v2_{vit}.pth", licence),
        )
        for scene, taught in _SCENES.items():
            releases[f"depth_anything_v2_metric_{scene}_{size}"] = (
                Release(f"{second}Metric-{scene.capitalize()}-{word}-hf", licence=licence),
                Release(
                    f"{second}Metric-{taught}-{word}", f"depth_anything_v2_metric_{taught.lower()}_{vit}.pth", licence
                ),
            )
    return releases


HUB: Mapping[str, tuple[Release, ...]] = MappingProxyType(
    {
        "zoe_beit_l": (Release("Intel/zoedepth-nyu", licence="MIT"),),
        "zoe_k_beit_l": (Release("Intel/zoedepth-kitti", licence="MIT"),),
        "zoe_nk_beit_l": (Release("Intel/zoedepth-nyu-kitti", licence="MIT"),),
        **_depth_anything(),
    }
)


def on_hub(name: str) -> tuple[str, tuple[Release, ...]] | None:
    """A network's own name and its releases, by that name or by a repository's; None where there is no such."""
    if name in HUB:
        return name, HUB[name]
    return next(((key, (r,)) for key, several in HUB.items() for r in several if r.repository == name), None)


def hub_file(name: str, releases: tuple[Release, ...], say: Callable[[str], None] = print) -> Path:
    """The weights of a network: from the hub's cache, or the first of its releases that the hub has.

    Args:
        name: for messages.
        releases: see `on_hub`.
        say: is told size, licence and address before a download.

    Raises:
        ZDError: offline, refused, or damaged; the line says where to get the file by hand.
    """
    from huggingface_hub import try_to_load_from_cache

    for release in releases:
        there = try_to_load_from_cache(release.repository, release.file)
        if isinstance(there, str):
            return Path(there)
    problems = []
    for release in releases:
        try:
            return _fetched(name, release, say)
        except Exception as error:  # the client's own errors, its HTTP library's, and the system's
            if isinstance(error, ZDError):
                raise
            problems.append(
                f"{_address(release)}: cannot be downloaded ({_first_line(error)}): get it by hand and name it with "
                "--weights FILE"
            )
            if getattr(getattr(error, "response", None), "status_code", None) not in ABSENT:
                break
    raise ZDError(problems[0])


def _fetched(name: str, release: Release, say: Callable[[str], None]) -> Path:
    from huggingface_hub import get_hf_file_metadata, hf_hub_download

    address = _address(release)
    metadata = get_hf_file_metadata(address, endpoint=_endpoint())
    say(f"{name}: {(metadata.size or 0) / 1e6:,.0f} MB ({release.licence}) from {address}")
    path = Path(hf_hub_download(release.repository, release.file, endpoint=_endpoint()))
    _check(path, metadata.etag, address)
    return path


def _endpoint() -> str:
    from huggingface_hub import constants

    return os.environ.get("HF_ENDPOINT") or constants.ENDPOINT


def _address(release: Release) -> str:
    from huggingface_hub import hf_hub_url

    return hf_hub_url(release.repository, release.file, endpoint=_endpoint())


def _check(path: Path, etag: str | None, address: str) -> None:
    """The hub's ETag of a large file is its SHA-256.

    Raises:
        ZDError: what came is another file; it is removed from the cache.
    """
    if etag is None or len(etag) != 64:
        return
    with open(path, "rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    if digest != etag:
        path.resolve().unlink()
        path.unlink(missing_ok=True)
        raise ZDError(
            f"{address}: what came has the SHA-256 {digest[:12]}, not {etag[:12]}, and is removed: run the command "
            "again"
        )


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
