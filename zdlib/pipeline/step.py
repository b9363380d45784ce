"""One step: compute it, check what it wrote, record where that comes from. Each rule of the Snakefile calls this.

    python -m zdlib.pipeline step training --profile demo --reads … --writes …

A step that has begun and not ended well leaves a mark (`Ending`), which says how it ended and what it was writing.
"""

import os
import sys
import time
import traceback
from collections.abc import Sequence
from contextlib import redirect_stderr
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path

from zdlib.errors import ZDError
from zdlib.files import read_json, write_json
from zdlib.pipeline import provenance
from zdlib.pipeline.guard import guarded
from zdlib.pipeline.layout import STATE, Layout, duration, rule_of
from zdlib.pipeline.studies import job_module

BEGUN, FAILED, INTERRUPTED = "was begun and did not end", "failed last time", "was interrupted last time"


@dataclass(frozen=True)
class Ending:
    """How a step's last run ended, unless well.

    Attributes:
        how: `FAILED`, `INTERRUPTED`, or `BEGUN`: it runs now, or was killed.
        writes: the files it was to write.
    """

    how: str
    writes: tuple[str, ...]

    @classmethod
    def read(cls, layout: Layout, step: str) -> "Ending | None":
        """The mark of a step; None where its last run ended well, or there was none."""
        path = layout.failure(step)
        if not path.exists():
            return None
        try:
            content = read_json(path)
            return cls(content["how"], tuple(content["writes"]))
        except (ZDError, KeyError, TypeError):  # half a file: a full disk, or a power cut
            return cls(BEGUN, ())

    def write(self, layout: Layout, step: str) -> None:
        """Leave the mark."""
        write_json(layout.failure(step), asdict(self))


def run_step(profile: str, rule: str, reads: Sequence[str], writes: Sequence[str]) -> int:
    """Run one step and record its provenance; returns the exit status."""
    # Papermill imports jsonschema, which builds a grammar of web addresses at import. That takes a second, and a
    # notebook's schema has none: told that the module is absent, jsonschema goes without.
    sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
    from zdlib.pipeline.notebook import NotebookError

    sys.stdout.flush()
    os.dup2(sys.stdout.fileno(), sys.stderr.fileno())  # Snakemake's own words go to its log; ours all to the terminal
    layout = Layout(profile)
    step = next(step for step in layout.steps if rule_of(step) == rule)
    title = f"[{layout.steps.index(step) + 1}/{len(layout.steps)}] {step}"
    say = lambda text: print(f"{title} {text}", flush=True)  # noqa: E731
    results = tuple(path for path in writes if not path.endswith(".done"))
    started = time.time()
    how = FAILED
    try:
        with guarded(layout.root, step):
            say("…")
            Ending(BEGUN, results).write(layout, step)
            _measured(layout, step, [path for path in reads if not path.endswith(".done")], results, started)
    except NotebookError as error:
        say(f"failed: {error}")
        if error.details:
            print("\n".join(f"    {line}" for line in error.details.splitlines()), flush=True)
    except ZDError as error:
        say(f"failed: {error}")
    except Exception:  # a defect of this project: its whole traceback is wanted
        say("failed:")
        traceback.print_exc()
    except KeyboardInterrupt:
        say("interrupted")
        how = INTERRUPTED
    else:
        layout.failure(step).unlink(missing_ok=True)
        say(f"done in {duration(time.time() - started)}")
        return 0
    Ending(how, results).write(layout, step)
    return 130 if how == INTERRUPTED else 1


def _measured(layout: Layout, step: str, reads: Sequence[str], writes: Sequence[str], started: float) -> None:
    """Compute a step; write its provenance, and last the mark of its success."""
    cache = provenance.HashCache(layout.root / STATE / "hashes.json")
    inputs = provenance.hash_files(map(Path, reads), layout.root, cache)
    state = provenance.git_state(layout.root)
    _compute(layout, step)
    _check_results(layout, step, writes, started)
    outputs = provenance.hash_files(map(Path, writes), layout.root, cache)
    record = {
        "step": step,
        "profile": layout.profile.model_dump(mode="json"),
        **state,
        "depends": layout.depends(step),
        "inputs": inputs,
        "outputs": outputs,
        "hardware": provenance.hardware(),
        "seconds": round(time.time() - started, 1),
        "peak_memory_mib": provenance.peak_memory_mib(),
    }
    write_json(layout.provenance(step), record)
    write_json(layout.root / layout.finished(step), outputs)


def _compute(layout: Layout, step: str) -> None:
    if threads := os.environ.get("ZD_THREADS"):
        # Snakemake gives every rule's libraries one thread; steps share the machine's cores instead.
        os.environ |= {f"{library}_NUM_THREADS": threads for library in ("OMP", "MKL", "OPENBLAS")}
    from zdlib.pipeline.notebook import LiveOutput, run_notebook

    prefix = f"{step}: " if os.environ.get("ZD_PARALLEL", "1") != "1" else ""
    if step == "report":
        from zdlib.paper.report import write_report

        write_report(layout.profile, layout.root / layout.report)
    elif step in layout.jobs or step in layout.predictions:
        with redirect_stderr(LiveOutput(sys.stdout, prefix)):  # type: ignore[type-var]  # progress bars write there
            _train(layout, step) if step in layout.jobs else _predict(layout, step)
    else:
        os.environ.pop("ZD_TRAIN", None)  # what is trained again is so in the steps that train
        run_notebook(
            layout.source(step),
            layout.root / layout.executed(step),
            {"profile": layout.profile.name},
            root=layout.root,
            figures=layout.paths.figures,
            live=(LiveOutput(sys.stdout, prefix), LiveOutput(sys.stdout, prefix)),
        )


def _train(layout: Layout, step: str) -> None:
    if step in layout.studied:
        jobs = import_module(f"zdlib.paper.{job_module(layout.profile.name)}")
        jobs.run_job(layout.profile, layout.jobs[step], layout.paths)
    else:
        from zdlib.train.run import train

        print(train(layout.profile, layout.jobs[step], layout.paths))


def _predict(layout: Layout, step: str) -> None:
    from zdlib.paper.predicted import predict_test_sets

    for path in layout.predicted(layout.predictions[step]):
        (layout.root / path).unlink(missing_ok=True)  # the step is stale, or it would not run
    predict_test_sets(layout.profile, layout.predictions[step], layout.paths)


def _check_results(layout: Layout, step: str, writes: Sequence[str], started: float) -> None:
    for path in writes:
        file = layout.root / path
        if not file.is_file():
            raise ZDError(f"{step}: did not write {path}, which the Snakefile says it writes: correct one of them")
        if file.stat().st_mtime < started - 2:  # some file systems keep whole seconds
            raise ZDError(f"{step}: left an old {path} as it was: it must write it anew")
