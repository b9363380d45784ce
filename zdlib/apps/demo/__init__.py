"""`zdlib demo`: a page on this machine that measures the depth of a picture. Nothing of it comes from another host."""
