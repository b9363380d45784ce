"""Example pictures: rendered rooms, where the page is started from a checkout."""

from pathlib import Path

from PIL import Image

from zdlib.errors import ZDError
from zdlib.paths import repo_root

COUNT = 4


def example_pictures(folder: Path) -> list[Path]:
    """Test rooms of Rooms-N as PNG files, one of each of the first kinds of room.

    Args:
        folder: gets the files.

    Returns:
        Their paths; none where the library is installed without its data.
    """
    try:
        store_file = repo_root() / "data" / "rooms" / "rooms_n.h5"
    except ZDError:  # a wheel alone
        return []
    if not store_file.is_file():
        return []
    from zdlib.data.rooms.store import open_store

    store = open_store(store_file)
    chosen: dict[str, int] = {}
    for number, (kind, part) in enumerate(zip(store.scene_types, store.splits, strict=True)):
        if part == "test" and len(chosen) < COUNT:
            chosen.setdefault(kind, number)
    folder.mkdir(parents=True, exist_ok=True)
    paths = {kind: folder / f"rendered_{kind}.png" for kind in chosen}
    for kind, number in chosen.items():
        Image.fromarray(store[number].image).save(paths[kind])
    return list(paths.values())
