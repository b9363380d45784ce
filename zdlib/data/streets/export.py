"""The embedded streets in KITTI's, Cityscapes' and Virtual KITTI 2's own layouts, for the real readers to read.

All of it is 152 clips and 64 frames, 300 MB, 15 seconds of one core.
"""

from tqdm import tqdm

from zdlib.config import DataConfig, StreetsConfig
from zdlib.data.folders import atomic_folder
from zdlib.data.streets.cityscapes_layout import write_cityscapes
from zdlib.data.streets.kitti_layout import write_kitti
from zdlib.data.streets.store import Store, open_store
from zdlib.data.streets.vkitti2_layout import write_vkitti2
from zdlib.errors import ZDError
from zdlib.files import read_json, sha256, write_json
from zdlib.paths import resolve

VERSION = 1  # of the layouts: raise it when other bytes are written
STREETS_K, STREETS_V = 0, 1  # places in `StreetsConfig.stores`
LAYOUTS = (
    ("kitti", STREETS_K, write_kitti),
    ("cityscapes", STREETS_K, write_cityscapes),
    ("vkitti2", STREETS_V, write_vkitti2),
)


def prepare(config: StreetsConfig | None) -> None:
    """Write the layouts unless they are there, from the same stores and as many clips.

    Raises:
        ZDError: the profile names none; a store is missing or damaged, or a folder cannot be written.
    """
    if config is None:
        raise ZDError("data.streets: the profile names none: add streets: {root: results/$PROFILE/data/streets}")
    wanted = _wanted(config)
    if _there(config) != wanted:
        materialise(config)
    else:
        write_json(resolve(config.mark), wanted)  # a step of the pipeline must write anew what it is said to write


def prepare_what_is_read(data: DataConfig) -> None:
    """Write the layouts if a data set of a profile lies in them, unless they are there.

    Raises:
        ZDError: a store is missing or damaged, or a folder cannot be written.
    """
    entries = (*data.train, *data.tests)
    if data.streets is not None and any(entry.root.startswith(f"{data.streets.root}/") for entry in entries):
        prepare(data.streets)


def materialise(config: StreetsConfig) -> None:
    """Write `kitti/`, `cityscapes/` and `vkitti2/` in the configuration's root, each complete or not at all.

    The same stores give the same bytes.

    Raises:
        ZDError: a store is missing or damaged, or a folder cannot be written.
    """
    root, mark = resolve(config.root), resolve(config.mark)
    stores = [open_store(resolve(path)) for path in config.stores]
    mark.unlink(missing_ok=True)
    for name, which, write in LAYOUTS:
        store = stores[which]
        with atomic_folder(root / name) as temporary:
            write(temporary, store, tqdm(chosen_clips(store, config.clips), desc=name, unit="clip", mininterval=1))
    write_json(mark, _wanted(config))


def chosen_clips(store: Store, limit: int | None) -> list[int]:
    """The first clips of each part, in the store's order."""
    return sorted(clip for split in dict.fromkeys(store.splits) for clip in store.of_split(split)[:limit])


def _wanted(config: StreetsConfig) -> dict[str, object]:
    paths = [resolve(path) for path in config.stores]
    for path in paths:
        open_store(path)  # says what to do where it is missing or damaged
    return {"version": VERSION, "clips": config.clips, "stores": {path.name: sha256(path) for path in paths}}


def _there(config: StreetsConfig) -> object:
    path = resolve(config.mark)
    try:
        return read_json(path) if path.is_file() else None
    except ZDError:  # half a file
        return None
