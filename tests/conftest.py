"""Shapes and dtypes of jaxtyping annotations are checked in every test of the library; torch runs on one thread."""

from jaxtyping import install_import_hook

install_import_hook("zdlib", "beartype.beartype")

import torch  # noqa: E402

from zdlib.models._torchvision import ensure_torchvision  # noqa: E402

ensure_torchvision()  # for tests that import timm or transformers themselves

# Small tensors gain nothing from threads, and on a busy machine their spinning costs minutes.
torch.set_num_threads(1)
