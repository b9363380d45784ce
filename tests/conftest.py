"""Shapes and dtypes of jaxtyping annotations are checked in every test of the library; torch runs on one thread."""

from jaxtyping import install_import_hook

install_import_hook("zdlib", "beartype.beartype")

import torch  # noqa: E402

# Small tensors gain nothing from threads, and on a busy machine their spinning costs minutes.
torch.set_num_threads(1)
