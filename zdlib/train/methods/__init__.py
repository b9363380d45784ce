"""One file per paper: what it brings to training. Files here do not import each other, and the loop none of them."""
