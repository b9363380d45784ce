"""A whole checkout in miniature: the real Snakefile and library, notebooks that compute nothing worth waiting for."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import yaml
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from zdlib.pipeline.saved import saved

ROOT = Path(__file__).resolve().parent.parent
ROOMS_N = {
    "set": "nyu",
    "name": "Rooms-N",
    "root": "results/tiny/data/rooms_n.mat",
    "split": "results/tiny/data/splits.mat",
}
PROFILE = {
    "name": "tiny",
    "data": {
        "train": [ROOMS_N],
        "tests": [ROOMS_N, {"set": "ibims", "name": "Rooms-I", "root": "results/tiny/data/rooms_i"}],
        "embedded": {"source": "data/rooms"},
    },
    "model": {"encoder": "tf_efficientnet_lite0", "encoder_weights": "none", "input_size": [32, 32]},
    "train": {"epochs": 1},
    "runs": {"distill": {"title": "Zoe-Distill"}},
}
PARAMETERS = 'import os\n\nprofile = os.environ.get("ZD_PROFILE", "demo")'
OUTPUTS = """
import json
from zdlib.pipeline.layout import Layout, rule_of
from zdlib.pipeline.status import announced
layout = Layout("tiny")
jobs = {job.rule_name: job.output for job in announced(layout, everything=True)}
results = lambda paths: sorted(path.removesuffix(" (update)") for path in paths if not path.endswith(".done"))
print(json.dumps({step: results(jobs[rule_of(step)]) for step in layout.steps}))
"""
# In the place of a training: it writes what its rule declares, like the notebooks below.
TRAIN = """

def train(profile, key, paths):
    from zdlib.files import write_text

    for file in (RunFiles(paths.checkpoints, key).weights, *RunFiles(paths.checkpoints, key).logs):
        write_text(file, f"{key} {os.environ.get('ZD_TRAIN')}")
    return f"{key} trained"
"""
# And in the place of a prediction.
PREDICT = """

def predict_test_sets(profile, key, paths):
    from zdlib.files import write_text

    for name in ("nyu", "ibims"):
        write_text(predictions_path(paths, key, name), f"{key} predicted")
"""
STEPS = (
    "01_data_prep",
    "02_architecture",
    "03_training",
    "04_nyu_eval",
    "05_ibims_eval",
    "06_parameter_table",
    "07_plots",
    "08_protocol_audit",
    "10_speed",
)


def write_notebook(path: Path, *cells: str, tagged: bool = True) -> None:
    """A notebook with a title, the parameters cell and further code cells."""
    first = new_code_cell(PARAMETERS, metadata={"tags": ["parameters"]} if tagged else {})
    nodes = [new_markdown_cell(f"# {path.stem}"), first, *(new_code_cell(cell) for cell in cells)]
    for number, node in enumerate(nodes):
        node["id"] = f"cell-{number}"
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(new_notebook(cells=nodes), path)


def make_checkout(folder: Path) -> Path:
    """Copy what the pipeline needs into `folder`, with small notebooks in the place of the real ones."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("Snakefile", "run_all.sh", "pyproject.toml", "environment.yml"):
        shutil.copy(ROOT / name, folder / name)
    shutil.copytree(ROOT / "zdlib", folder / "zdlib", ignore=shutil.ignore_patterns("__pycache__"))
    with open(folder / "zdlib" / "train" / "run.py", "a", encoding="utf-8") as loop:
        loop.write(TRAIN)
    with open(folder / "zdlib" / "paper" / "predicted.py", "a", encoding="utf-8") as module:
        module.write(PREDICT)
    (folder / "profiles").mkdir()
    write_profile(folder)
    (folder / "data" / "rooms").mkdir(parents=True)
    (folder / "data" / "rooms" / "rooms_n.h5").write_bytes(b"rooms")
    for step in STEPS:
        write_notebook(folder / "notebooks" / f"{step}.ipynb", names(step))
    for step, paths in outputs(folder).items():
        if step in STEPS:
            write_step(folder, step, paths)
    return folder


def write_profile(folder: Path, **changes: dict[str, object]) -> None:
    """Write `profiles/tiny.yaml`; `changes` are merged into its sections."""
    content = {
        key: {**value, **changes.get(key, {})} if isinstance(value, dict) else value for key, value in PROFILE.items()
    }
    (folder / "profiles" / "tiny.yaml").write_text(yaml.safe_dump(content))


def names(step: str) -> str:
    """Code that names the tables and figures of the real notebook, as the pipeline reads them, and saves none."""
    real = saved(ROOT / "notebooks" / f"{step}.ipynb")
    calls = [f"save_table(None, {name!r})" for name in real.tables]
    calls += [f"save_figure(None, {name!r})" for name in real.figures]
    return "\n".join(["save_table = save_figure = lambda *_: None", *calls])


def outputs(folder: Path) -> dict[str, list[str]]:
    """What the Snakefile says each step writes."""
    done = call(folder, "-c", OUTPUTS)
    return dict(json.loads(done.stdout))


def write_step(folder: Path, step: str, paths: list[str], extra: str = "") -> None:
    """A notebook that writes every file its rule declares, and then does `extra`."""
    others = [path for path in paths if not path.endswith(f"{step}.ipynb")]
    code = f"from zdlib.files import write_text\n\nfor path in {others!r}:\n    write_text(path, '{step}')\n"
    write_notebook(folder / "notebooks" / f"{step}.ipynb", code + names(step), f"print('{step} ran')\n{extra}")


def call(folder: Path, *arguments: str, check: bool = True, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run this Python on the checkout, as `run_all.sh` does."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=surroundings(folder) | environment,
        capture_output=True,
        text=True,
        check=check,
        timeout=900,
    )


def surroundings(folder: Path) -> dict[str, str]:
    """Environment in which the checkout's own library is the one imported."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("ZD_", "CONDA_"))}
    return kept | {"PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"}


def pipeline(folder: Path, command: str, *options: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """`python -m zdlib.pipeline` on profile tiny."""
    return call(folder, "-m", "zdlib.pipeline", command, "--profile", "tiny", *options, check=check)
