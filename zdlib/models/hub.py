"""ZoeDepth's released weights by name, from the Hugging Face hub: fetched once, into the hub's own cache.

Intel publishes the authors' three BEiT-L models in the layout of transformers (MIT). Files are safetensors: nothing in
them is run. The hub's client resumes, follows redirects and names each file by its content; here its SHA-256, which the
hub states for every large file, is computed and compared as well.
"""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

from zdlib.errors import ZDError

HUB = {
    "zoe_beit_l": "Intel/zoedepth-nyu",
    "zoe_k_beit_l": "Intel/zoedepth-kitti",
    "zoe_nk_beit_l": "Intel/zoedepth-nyu-kitti",
}
FILE = "model.safetensors"
LICENCE = "MIT"


def hub_file(name: str, say: Callable[[str], None] = print) -> Path:
    """The weights of a model, from the hub's cache or from the hub.

    Args:
        name: a key of `HUB`.
        say: is told size, licence and address before a download.

    Raises:
        ZDError: offline, refused, or damaged; the line says where to get the file by hand.
    """
    from huggingface_hub import constants, get_hf_file_metadata, hf_hub_download, hf_hub_url, try_to_load_from_cache

    repository = HUB[name]
    there = try_to_load_from_cache(repository, FILE)
    if isinstance(there, str):
        return Path(there)
    endpoint = os.environ.get("HF_ENDPOINT") or constants.ENDPOINT
    address = hf_hub_url(repository, FILE, endpoint=endpoint)
    try:
        metadata = get_hf_file_metadata(address, endpoint=endpoint)
        say(f"{name}: {(metadata.size or 0) / 1e6:,.0f} MB ({LICENCE}) from {address}")
        path = Path(hf_hub_download(repository, FILE, endpoint=endpoint))
    except Exception as error:  # the client's own errors, its HTTP library's, and the system's
        raise ZDError(
            f"{address}: cannot be downloaded ({_first_line(error)}): get it by hand and name it with --weights FILE"
        ) from error
    _check(path, metadata.etag, address)
    return path


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
