"""ZoeDepth and Zoe-Distill: the network, and the key maps of its authors' and of transformers' checkpoints."""
