"""Rooms: `store` holds what is in git, `export` writes it in NYU's and iBims-1's own layouts."""
