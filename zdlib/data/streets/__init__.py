"""Streets: `store` holds what is in git, `export` writes it in KITTI's, Cityscapes' and Virtual KITTI 2's layouts."""

SCORED = ("streets", "streets_mixed")
"""The profiles whose scores on streets are in git."""
