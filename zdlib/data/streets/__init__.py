"""Streets: `store` holds what is in git, `export` writes it in KITTI's, Cityscapes' and Virtual KITTI 2's layouts."""
