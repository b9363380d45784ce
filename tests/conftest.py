"""Shapes and dtypes of jaxtyping annotations are checked in every test of the library."""

from jaxtyping import install_import_hook

install_import_hook("zdlib", "beartype.beartype")
