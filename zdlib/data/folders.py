"""Folders that appear complete or not at all."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from zdlib.errors import ZDError


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Give a new folder beside `path`; on success put it in the place of `path`, else remove it.

    Raises:
        ZDError: the folder cannot be made or written, or the disk is full.
    """
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
        (temporary / "new").mkdir()
        yield temporary / "new"
        if path.exists():
            path.rename(temporary / "old")
        (temporary / "new").rename(path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise ZDError(f"{path}: cannot be written ({reason}): free space or choose another folder") from error
    finally:
        if temporary is not None:
            shutil.rmtree(temporary)
