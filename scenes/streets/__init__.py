"""Streets: procedural road scenes as rectified stereo clips with exact depth, labels, instances and poses."""
