"""One file per paper, what it brings to training: none imports another, and the loop none of them."""
