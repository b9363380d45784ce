"""One file per paper, what it brings to training: none imports another (but a variation its theme), the loop none."""
