"""The report: every table and figure numbered, captioned and traced to its file; nothing fetched from anywhere."""

import base64
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
import yaml
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image, ImageFilter
from tiny_paper import PROFILE

from zdlib.config import load_profile
from zdlib.errors import ZDError
from zdlib.files import write_json
from zdlib.paper.report import markdown, write_report
from zdlib.paper.tables import save_table
from zdlib.paths import RunPaths

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="  # one pixel
RECORD = {
    "commit": "0123456789abcdef0123456789abcdef01234567",
    "dirty": True,
    "depends": ["file zdlib/a.py 11", "package torch 2.13.0"],
    "inputs": {"data/rooms/rooms_n.h5": "ab" * 32},
    "hardware": {
        "cpu": "A CPU",
        "cores": 2,
        "ram_gib": 8.0,
        "gpus": [],
        "system": "Linux x86_64",
        "python": "3.11.9",
    },
    "seconds": 12.5,
    "peak_memory_mib": 345,
}


class Page(HTMLParser):
    """Collects what a browser would fetch, the targets of links within the page, and the anchors there are."""

    def __init__(self, text: str):
        super().__init__()
        self.fetched: list[str] = []
        self.targets: set[str] = set()
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        values = dict(attributes)
        self.anchors.add(values.get("id") or "")
        if tag in {"img", "script", "link", "iframe"}:
            self.fetched.append(values.get("src") or values.get("href") or "")
        if tag == "a" and (values.get("href") or "").startswith("#"):
            self.targets.add(str(values["href"])[1:])


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunPaths:
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "tiny.yaml").write_text("# tiny: says <this> first\n" + yaml.safe_dump(PROFILE))
    monkeypatch.setenv("ZD_ROOT", str(tmp_path))
    return RunPaths("tiny")


def execute(paths: RunPaths, name: str, *cells: nbformat.NotebookNode) -> None:
    """Put an executed notebook and its provenance in place."""
    paths.notebooks.mkdir(parents=True, exist_ok=True)
    nbformat.write(new_notebook(cells=list(cells)), paths.notebooks / f"{name}.ipynb")
    write_json(paths.provenance / f"{name}.json", RECORD)


def shown(data: dict[str, str], **metadata: object) -> nbformat.NotebookNode:
    return new_output("display_data", data=data, metadata=metadata)


def write_picture(paths: RunPaths, name: str, content: bytes = base64.b64decode(PNG)) -> None:
    paths.figures.mkdir(parents=True, exist_ok=True)
    (paths.figures / f"{name}.png").write_bytes(content)


def page(paths: RunPaths) -> str:
    write_report(load_profile("tiny"), paths.results / "report.html")
    return (paths.results / "report.html").read_text()


def test_tables_and_figures_are_numbered_and_traced(paths: RunPaths) -> None:
    frame = pd.DataFrame({"method": ["a", "b"], "delta1": [0.9, 0.8]})
    table = save_table(frame, "nyu_depth", paths, caption="Depth <on> Rooms-N.", compare=[]).to_html()
    marks = {"figure": "loss", "caption": "Loss with $\\lambda$.", "width": 792}
    write_picture(paths, "loss")
    outputs = [
        shown({"text/html": table}),
        shown({"text/html": '<img src="../figures/loss.png">', "text/plain": "figure loss"}, zdlib=marks),
        shown({"text/markdown": "**Figure loss.** Loss with $\\lambda$."}, zdlib=marks),
    ]
    execute(paths, "01_data_prep", new_markdown_cell("# Data\nSee [training](03_training.ipynb#x)."))
    execute(paths, "03_training", new_markdown_cell("# Training"), new_code_cell("x = 1 < 2", outputs=outputs))
    text = page(paths)
    assert "<b>Table 1.</b> Depth &lt;on&gt; Rooms-N." in text
    assert '<a href="tables/nyu_depth.csv">results/tiny/tables/nyu_depth.csv</a>, written by\n03_training' in text
    assert "commit 0123456789 with local changes" in text
    assert re.search(r"<b>Figure 1.</b> Loss with (<[^>]+>)?<math", text)
    assert "Figure loss." not in text
    assert f'src="data:image/png;base64,{PNG}"' in text
    assert "<pre><code>x = 1 &lt; 2</code></pre>" in text
    assert "tiny: says &lt;this&gt; first" in text
    assert "A CPU, 2 cores, 8.0 GiB" in text
    assert "torch 2.13.0" in text
    assert "ab" * 32 in text
    found = Page(text)
    assert found.fetched
    assert all(source.startswith("data:image/") for source in found.fetched)
    assert not re.search(r"@import|url\(", text)
    assert found.targets <= found.anchors
    assert {"01_data_prep", "03_training", "table-nyu_depth", "figure-loss", "provenance"} <= found.targets


def test_the_page_has_a_front_parts_sections_and_notes(paths: RunPaths) -> None:
    """The abstract opens the page, studies follow the paper, and what three captions say is said once."""
    shared = "Weights (SHA-256): abc."
    frame = pd.DataFrame({"method": ["a"], "delta1": [0.9]})
    tables = [
        shown({"text/html": save_table(frame, f"t{i}", paths, caption=f"Table of {i}. {shared}").to_html()})
        for i in range(3)
    ]
    execute(paths, "00_abstract", new_markdown_cell("# Abstract\nWhat it is."))
    execute(
        paths, "01_data_prep", new_markdown_cell("# 1 · Data\n\n## 1.1 Two `layouts`"), new_code_cell(outputs=tables)
    )
    execute(paths, "09_control_study", new_markdown_cell("# 9 · Study"))
    execute(paths, "99_conclusion", new_markdown_cell("# Conclusion"))
    text = page(paths)
    places = [
        text.index(part)
        for part in ("What it is.", "<pre>tiny: says", ">1 · Data <a", ">9 · Study <a", ">Conclusion <a")
    ]
    assert places == sorted(places)
    assert text.index('<p class="part">The paper</p>') < text.index('<p class="part">Studies</p>')
    assert '<li><a href="#01_data_prep-1-1-two-layouts">1.1 Two layouts</a></li>' in text
    assert '<h3 id="01_data_prep-1-1-two-layouts">1.1 Two <code>layouts</code>' in text
    main = text[text.index("<main") :]
    assert main.count(f"<sup>a</sup> {shared}</p>") == 1
    assert main.count('<sup><a href="#note-a"') == 3
    assert Page(text).targets <= Page(text).anchors


def test_photographs_are_embedded_smaller(paths: RunPaths) -> None:
    """A grid of pictures near the limit of a figure's bytes takes half of them in the page."""
    buffer = io.BytesIO()
    pixels = np.random.default_rng(0).normal(128, 60, (300, 400, 3)).clip(0, 255).astype(np.uint8)
    Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(1)).save(buffer, "png")
    write_picture(paths, "rooms", buffer.getvalue())
    marks = {"figure": "rooms", "caption": "Rooms.", "width": 400}
    execute(paths, "01_data_prep", new_code_cell("x", outputs=[shown({"text/html": "<img>"}, zdlib=marks)]))
    (uri,) = Page(page(paths)).fetched
    kind, _, content = uri.partition(";base64,")
    assert kind == "data:image/webp"
    assert len(content) < buffer.tell() / 2
    with Image.open(io.BytesIO(base64.b64decode(content))) as picture:
        assert picture.size == (400, 300)
    (paths.figures / "rooms.png").unlink()
    with pytest.raises(ZDError, match=r"rooms\.png: cannot be shown \(No such file or directory\): run its notebook"):
        page(paths)


def test_a_carried_over_result_is_seen_to_be_one(paths: RunPaths) -> None:
    """The study's trainings have rows of their own in the table of provenance."""
    execute(paths, "01_data_prep", new_markdown_cell("# Data"))
    arm = {"title": "control", "seeds": [1]}
    content = PROFILE | {"runs": {}, "study": {"arms": {"control": arm}, "pairs": [["control", "control"]]}}
    profile = paths.figures.parents[1] / "profiles" / "tiny.yaml"
    profile.write_text("# tiny: a study\n" + yaml.safe_dump(content))
    note = {"commit": "fedcba9876543210", "reason": "only <moved>", "shown_by": "pytest -k same"}
    write_json(paths.provenance / "train_control_1.json", RECORD | {"carried": [note]})
    text = page(paths)
    assert "carried over to fedcba9876: only &lt;moved&gt;; shown by <code>pytest -k same</code>" in text
    assert text.count("carried over to") == 1
    assert '<a href="provenance/train_control_1.json">' in text
    (paths.provenance / "train_control_1.json").unlink()
    with pytest.raises(ZDError, match=r"train_control_1\.json: no such file: run the step"):
        page(paths)


def test_the_same_results_give_the_same_page(paths: RunPaths) -> None:
    execute(paths, "01_data_prep", new_markdown_cell("# Data"))
    assert page(paths) == page(paths)


def test_rendered_rooms_are_never_taken_for_photographs(paths: RunPaths) -> None:
    execute(paths, "01_data_prep", new_markdown_cell("# Data"))
    assert "The data here are rendered rooms, not photographs." in page(paths)


def test_markdown_has_tables_equations_and_lower_headings() -> None:
    text = markdown(
        "# A\n\n|a|b|\n|-|-|\n|1|$x_1$|\n\n$$\\frac{a}{b}$$\n\n$$\\begin{aligned}a&=b\\\\c&=d\\end{aligned}$$", "x"
    )
    assert "<h2>A</h2>" in text
    assert "<table>" in text
    assert "<mfrac>" in text
    assert "<mtable" in text
    assert "$" not in text


@pytest.mark.parametrize("equation", ["\\frac{", "\\foo x", "a & b"])
def test_an_equation_that_cannot_be_shown_is_named(equation: str) -> None:
    with pytest.raises(ZDError, match=r"04_nyu_eval\.ipynb: equation .* cannot be shown"):
        markdown(f"${equation}$", "04_nyu_eval.ipynb")


def test_code_outputs_are_escaped(paths: RunPaths) -> None:
    stream = new_output("stream", name="stdout", text="<script>alert(1)</script>\n")
    execute(paths, "01_data_prep", new_code_cell("print()", outputs=[stream]))
    assert "<script>" not in page(paths)


def test_missing_and_damaged_inputs_are_one_line(paths: RunPaths) -> None:
    with pytest.raises(ZDError, match="no executed notebooks"):
        page(paths)
    execute(paths, "01_data_prep", new_markdown_cell("# Data"))
    (paths.notebooks / "01_data_prep.ipynb").write_text("{")
    with pytest.raises(ZDError, match=r"01_data_prep\.ipynb: not a readable notebook"):
        page(paths)
    (paths.provenance / "01_data_prep.json").write_text(json.dumps(RECORD)[:-5])
    with pytest.raises(ZDError, match=r"01_data_prep\.json: not valid JSON"):
        page(paths)
