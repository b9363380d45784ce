"""Which steps are stale, and why, in plain words; Snakemake decides, this module asks it and translates."""

import logging
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from snakemake_interface_logger_plugins.common import LogEvent

from zdlib.errors import ZDError
from zdlib.files import read_json
from zdlib.pipeline.layout import MAX_CHECKSUM_BYTES, Layout, rule_of
from zdlib.pipeline.step import Ending


@dataclass(frozen=True)
class Task:
    """A step and why it must run; no reasons means it is up to date."""

    step: str
    reasons: tuple[str, ...]

    @property
    def summary(self) -> str:
        """The reasons in one line."""
        if not self.reasons:
            return "up to date"
        more = len(self.reasons) - 3
        return "; ".join(self.reasons[:3]) + (f"; and {more} more" if more > 0 else "")


def plan(layout: Layout, forced: Sequence[str] = ()) -> list[Task]:
    """Every step in order, with the reasons for which it must run.

    Raises:
        ZDError: Snakemake cannot make sense of the Snakefile.
    """
    jobs = {job.rule_name: job for job in announced(layout, forced)}
    writers = {path: step for step in layout.steps if (job := jobs.get(rule_of(step))) for path in _outputs(job)}
    tasks = []
    for step in layout.steps:
        job = jobs.get(rule_of(step))
        reasons = [] if job is None else list(_own_reasons(job.reason, layout, step))
        if step in forced:
            reasons.insert(0, "asked for with --force")
        if job is not None and not reasons:
            upstream = {writers[path] for path in job.input if path in writers}
            reasons.append(f"follows {', '.join(sorted(upstream))}" if upstream else job.reason)
        tasks.append(Task(step, tuple(reasons)))
    return tasks


def print_status(layout: Layout) -> int:
    """Print one line per step; always exit status 0."""
    tasks = plan(layout)
    for number, task in enumerate(tasks, 1):
        print(f"[{number}/{len(tasks)}] {task.step:<20} {'stale: ' if task.reasons else ''}{task.summary}")
    stale = sum(bool(task.reasons) for task in tasks)
    print(
        f"{layout.profile.name}: {f'{stale} of {len(tasks)} steps are stale' if stale else 'everything is up to date'}"
    )
    return 0


def announced(layout: Layout, forced: Sequence[str] = (), *, everything: bool = False) -> list[Any]:
    """The log records by which Snakemake announces the jobs it would run: `rule_name`, `reason`, `input`, `output`.

    Args:
        layout: of the profile.
        forced: steps to run in any case.
        everything: run all of them in any case.

    Raises:
        ZDError: Snakemake cannot make sense of the Snakefile.
    """
    from snakemake.api import SnakemakeApi
    from snakemake.exceptions import WorkflowError
    from snakemake.logging import logger
    from snakemake.settings.types import (
        ConfigSettings,
        DAGSettings,
        ExecutionSettings,
        OutputSettings,
        ResourceSettings,
    )

    listener = _Listener()
    settings = DAGSettings(
        forceall=everything,
        forcerun={rule_of(step) for step in forced},
        force_incomplete=True,
        max_checksum_file_size=MAX_CHECKSUM_BYTES,
    )
    with SnakemakeApi(OutputSettings(dryrun=True, enable_file_logging=False)) as api:
        logger.handlers[:] = [listener]  # what it would say on the terminal is said in other words here
        workflow = api.workflow(
            ResourceSettings(cores=1),
            ConfigSettings(config={"profile": layout.profile.name}),
            snakefile=layout.root / "Snakefile",
            workdir=layout.root,
        )
        try:
            workflow.dag(settings).execute_workflow("dryrun", execution_settings=ExecutionSettings(lock=False))
        except WorkflowError as error:
            raise ZDError(f"Snakefile: {error}") from error
    return listener.jobs


class _Listener(logging.Handler):
    """Keeps Snakemake's announcements of jobs, as its logging plugins get them."""

    def __init__(self) -> None:
        super().__init__()
        self.jobs: list[Any] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Take one record."""
        if getattr(record, "event", None) == LogEvent.JOB_INFO:
            self.jobs.append(record)


def _outputs(job: Any) -> list[str]:
    return [path.removesuffix(" (update)") for path in job.output]


def _own_reasons(reason: str, layout: Layout, step: str) -> Iterator[str]:
    """Snakemake's reason in plain words, and the differences behind it from the step's own provenance."""
    if ending := Ending.read(layout, step):
        yield ending.how
    elif not (layout.root / layout.finished(step)).exists():
        yield "has not run here yet"
    else:
        yield from (f"{path} is missing" for path in sorted(_files("Missing output files", reason)))
    for path in sorted(_files("Updated input files", reason)):
        yield f"{Path(path).stem} gave new results" if path.endswith(".done") else f"{path} changed"
    if "Params have changed" in reason and layout.provenance(step).is_file():
        yield from explain_change(read_json(layout.provenance(step))["depends"], layout.depends(step))
    if "Set of input files has changed" in reason:
        yield "its list of input files changed"
    if "Code has changed" in reason:
        yield "its rule in the Snakefile changed"


def _files(heading: str, reason: str) -> list[str]:
    """The files that Snakemake lists under one of its reasons."""
    named = re.search(rf"\b{heading}: ([^;]*)", reason)
    return named[1].split(", ") if named else []


def explain_change(old: Iterable[str], new: Iterable[str]) -> list[str]:
    """Differences between two sets of `Layout.depends` strings, in words."""
    before, after = _by_name(old), _by_name(new)
    words = []
    for kind, name in sorted(before.keys() | after.keys()):
        was, now = before.get((kind, name)), after.get((kind, name))
        if was == now:
            continue
        if kind == "file":
            words.append(f"{name} {'is used now' if was is None else 'is used no more' if now is None else 'changed'}")
        else:
            label = f"package {name}" if kind == "package" else name
            words.append(f"{label}: {was if was is not None else 'nothing'} → {now if now is not None else 'nothing'}")
    return words


def _by_name(strings: Iterable[str]) -> dict[tuple[str, str], str]:
    parts = (string.split(" ", 2) for string in strings)
    return {(part[0], part[1]): part[2] for part in parts if len(part) == 3}
