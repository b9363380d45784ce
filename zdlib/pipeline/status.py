"""Which steps are stale, and why, in plain words; Snakemake decides, this module asks it and translates."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zdlib.errors import ZDError
from zdlib.pipeline.layout import MAX_CHECKSUM_BYTES, Layout, rule_of


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
    dag = _dag(layout, forced)
    jobs = {job.rule.name: job for job in dag.jobs}
    steps = {rule_of(step): step for step in layout.steps}
    tasks = []
    for step in layout.steps:
        job = jobs.get(rule_of(step))
        if job is None:
            raise ZDError(f"Snakefile: no rule {rule_of(step)} for notebooks/{step}.ipynb: add it")
        reasons = list(_own_reasons(dag.reason(job), layout, step)) if dag.needrun(job) else []
        if step in forced:
            reasons.insert(0, "asked for with --force")
        upstream = sorted({steps[other.rule.name] for other in dag.dependencies[job] if dag.needrun(other)})
        if upstream and not reasons:
            reasons.append(f"follows {', '.join(upstream)}")
        tasks.append(Task(step, tuple(reasons)))
    return tasks


def declared_outputs(layout: Layout) -> dict[str, list[str]]:
    """What each step's rule in the Snakefile says it writes, the mark of success left out."""
    rules = {job.rule.name: sorted(map(str, job.output)) for job in _dag(layout, ()).jobs}
    return {step: [p for p in rules[rule_of(step)] if not p.endswith(".done")] for step in layout.steps}


def print_status(layout: Layout) -> int:
    """Print one line a step; always exit status 0."""
    tasks = plan(layout)
    for number, task in enumerate(tasks, 1):
        print(f"[{number}/{len(tasks)}] {task.step:<20} {'stale: ' if task.reasons else ''}{task.summary}")
    stale = sum(bool(task.reasons) for task in tasks)
    print(
        f"{layout.profile.name}: {f'{stale} of {len(tasks)} steps are stale' if stale else 'everything is up to date'}"
    )
    return 0


def _dag(layout: Layout, forced: Sequence[str]) -> Any:
    """Snakemake's graph of jobs after a dry run. Its `dag` is not public; the pinned version keeps this in order."""
    from snakemake.api import SnakemakeApi
    from snakemake.exceptions import WorkflowError
    from snakemake.settings.types import (
        ConfigSettings,
        DAGSettings,
        ExecutionSettings,
        OutputSettings,
        Quietness,
        ResourceSettings,
    )

    output = OutputSettings(
        dryrun=True, quiet={Quietness.ALL}, enable_file_logging=False, log_level_override=logging.ERROR
    )
    dag_settings = DAGSettings(
        forcerun={rule_of(step) for step in forced}, force_incomplete=True, max_checksum_file_size=MAX_CHECKSUM_BYTES
    )
    with SnakemakeApi(output) as api:
        workflow = api.workflow(
            ResourceSettings(cores=1),
            ConfigSettings(config={"profile": layout.profile.name}),
            snakefile=layout.root / "Snakefile",
            workdir=layout.root,
        )
        try:
            workflow.dag(dag_settings).execute_workflow("dryrun", execution_settings=ExecutionSettings(lock=False))
        except WorkflowError as error:
            raise ZDError(f"Snakefile: {error}") from error
        return workflow._workflow.dag


def _own_reasons(reason: Any, layout: Layout, step: str) -> Iterator[str]:
    missing = {str(path) for path in reason.missing_output} - {layout.finished(step)}
    if layout.failure(step).exists():
        yield f"{layout.failure(step).read_text(encoding='utf-8')} last time"
    elif not (layout.root / layout.finished(step)).exists():
        yield "has not run here yet"
    else:
        yield from (f"{path} is missing" for path in sorted(missing))
    updated = sorted(map(str, reason.updated_input - reason.updated_input_run))
    for path in updated:
        yield f"{Path(path).stem} gave new results" if path.endswith(".done") else f"{path} changed"
    if reason.params_changed:
        yield from explain_change(reason.params_changed.only_old, reason.params_changed.only_new)
    if reason.input_changed:
        yield "its list of input files changed"
    if reason.code_changed:
        yield "its rule in the Snakefile changed"


def explain_change(old: Iterable[str], new: Iterable[str]) -> list[str]:
    """Differences between two sets of `Layout.depends` strings, in words.

    Snakemake may hand strings back in Python's quotes.
    """
    before, after = _by_name(old), _by_name(new)
    words = []
    for kind, name in sorted(before.keys() | after.keys()):
        was, now = before.get((kind, name)), after.get((kind, name))
        if kind == "file":
            words.append(f"{name} {'is used now' if was is None else 'is used no more' if now is None else 'changed'}")
        else:
            label = f"package {name}" if kind == "package" else name
            words.append(f"{label}: {was if was is not None else 'nothing'} → {now if now is not None else 'nothing'}")
    return words


def _by_name(strings: Iterable[str]) -> dict[tuple[str, str], str]:
    parts = (string.strip("'\"").split(" ", 2) for string in strings)
    return {(part[0], part[1]): part[2] for part in parts if len(part) == 3}
