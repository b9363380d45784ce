"""Rooms: the path-traced rooms of `data/rooms`, from floor plans and furniture models to packed images."""
