"""Whether the results in git still follow from the code, the profiles and the data beside them.

    python -m zdlib.pipeline committed       # names what is stale, and why; exit status 1 if anything is
    python -m zdlib.pipeline carry train_distill_1 --profile study --reason "…" --shown-by "…"

Each step has left a record of what it depended on. Here that is compared with what the same step would depend
on today, and the files it read and wrote with those in the checkout. A result whose code has changed in form
only need not be computed again: it is carried over, and its record says to which commit, why, and which command
showed it.
"""

from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatch
from typing import Any

from zdlib.errors import ZDError
from zdlib.files import read_json, sha256, write_json
from zdlib.pipeline.layout import MAX_CHECKSUM_BYTES, Layout
from zdlib.pipeline.provenance import git_state
from zdlib.pipeline.status import Task, explain_change

PROFILES = ("demo", "study", "heads")  # whose results git keeps


def check(layout: Layout) -> list[Task]:
    """Every step of a profile, with the reasons for which the results in its checkout are stale.

    Files that are not there are not judged (git does not keep data and weights), nor are those over 64 MiB.
    """
    return [Task(step, tuple(_reasons(layout, step))) for step in layout.steps]


def print_check(profiles: Sequence[str] = PROFILES) -> int:
    """Print one line per step; exit status 1 if anything is stale."""
    stale = 0
    for profile in profiles:
        tasks = check(Layout(profile))
        stale_here = sum(bool(task.reasons) for task in tasks)
        count = f"{stale_here} of {len(tasks)} steps are stale" if stale_here else f"all {len(tasks)} steps are current"
        print(f"{profile}: {count}")
        for task in tasks:
            print(f"  {task.step:<24} {f'stale: {task.summary}' if task.reasons else 'current'}")
        stale += stale_here
    return 1 if stale else 0


def carry(layout: Layout, names: Sequence[str], reason: str, shown_by: str) -> int:
    """Let the results of stale steps stand: their records take today's dependencies, and say so.

    Commit, seconds, machine and hashes of the record stay those of the run that computed the results.

    Args:
        layout: of the profile.
        names: steps, or patterns of them (`train_*`).
        reason: why nothing has changed in substance.
        shown_by: the command that showed it.

    Returns:
        Exit status 0.

    Raises:
        ZDError: no such step or record, a file that differs from the record, or sources that no commit has.
    """
    state = git_state(layout.root)
    if state["commit"] is None or state["dirty"]:
        raise ZDError(f"{layout.root}: the sources are not those of a commit: commit them, then carry over")
    for step in _matching(layout, names):
        path = layout.provenance(step)
        record = read_json(path)
        if differing := list(_differing_files(layout, record)):
            raise ZDError(f"{path}: cannot be carried over: {'; '.join(differing)}: run the step again")
        changes = _changes(record, layout.depends(step))
        if not changes:
            print(f"{step}: current, nothing to carry over")
            continue
        note = {"commit": state["commit"], "reason": reason, "shown_by": shown_by}
        carried = {"depends": layout.depends(step), "carried": [*record.get("carried", []), note]}
        write_json(path, record | carried)
        print(f"{step}: carried over; what has changed since it was computed: {len(changes)}")
    return 0


def _matching(layout: Layout, names: Iterable[str]) -> list[str]:
    """Steps named in full, by number or by pattern; in the pipeline's order."""
    chosen: set[str] = set()
    for name in names:
        chosen |= {step for step in layout.steps if fnmatch(step, name)} or {layout.find_step(name)}
    return [step for step in layout.steps if step in chosen]


def _reasons(layout: Layout, step: str) -> Iterator[str]:
    path = layout.provenance(step)
    if not path.is_file():
        yield f"{path.relative_to(layout.root)} is missing"
        return
    record = read_json(path)
    yield from _changes(record, layout.depends(step))
    yield from _differing_files(layout, record)


def _changes(record: dict[str, Any], depends: Iterable[str]) -> list[str]:
    """What has changed since the record, in words; builds of one version of a package count as the same."""
    before, now = set(map(_without_build, record["depends"])), set(map(_without_build, depends))
    return explain_change(before - now, now - before)


def _without_build(string: str) -> str:
    return string.partition("+")[0] if string.startswith("package ") else string


def _differing_files(layout: Layout, record: dict[str, Any]) -> Iterator[str]:
    """Files in the checkout that are not those that the step read or wrote."""
    for kind, words in (("inputs", "is not the one it read"), ("outputs", "is not the one it wrote")):
        for name, digest in record[kind].items():
            file = layout.root / name
            if file.is_file() and file.stat().st_size <= MAX_CHECKSUM_BYTES and sha256(file) != digest:
                yield f"{name} {words}"
