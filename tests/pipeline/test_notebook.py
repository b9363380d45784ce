"""One notebook: what is refused, what is shown, what is written."""

import base64
import io
import re
from pathlib import Path

import nbformat
import pytest
import tiny_paper as tiny
from nbformat.v4 import new_code_cell, new_notebook, new_output

from zdlib.errors import ZDError
from zdlib.pipeline import notebook
from zdlib.pipeline.notebook import LiveOutput, NotebookError, check_parameters, clean, collapse_returns, run_notebook


def test_exactly_one_cell_is_tagged(tmp_path: Path) -> None:
    path = tmp_path / "01.ipynb"
    tiny.write_notebook(path, tagged=False)
    with pytest.raises(ZDError, match="0 cells are tagged 'parameters': tag exactly one"):
        check_parameters(path, {"profile": "smoke"})


def test_an_unknown_parameter_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "01.ipynb"
    tiny.write_notebook(path, "other = 3")
    check_parameters(path, {"profile": "smoke"})
    with pytest.raises(ZDError, match="no parameter 'other': assign it in the parameters cell"):
        check_parameters(path, {"profile": "smoke", "other": 1})


def test_run_writes_a_clean_notebook(tmp_path: Path) -> None:
    path, executed = tmp_path / "01.ipynb", tmp_path / "out" / "01.ipynb"
    cells = ["import sys\nprint('profile', profile)\nprint('bar', file=sys.stderr)", "class A: pass\nA()"]
    tiny.write_notebook(path, *cells)
    shown = io.StringIO()
    run_notebook(
        path,
        executed,
        {"profile": "smoke"},
        root=tmp_path,
        figures=tmp_path,
        live=(LiveOutput(shown), LiveOutput(shown)),
    )
    first = executed.read_bytes()
    node = nbformat.read(executed, as_version=4)
    assert sorted(shown.getvalue().splitlines()) == ["bar", "profile smoke"]
    assert [output.text for output in node.cells[3].outputs] == ["profile smoke\n"]
    assert node.cells[4].outputs[0].data["text/plain"] == "<__main__.A>"
    assert b"papermill" not in first
    assert b'execution"' not in first
    assert str(tmp_path).encode() not in first
    run_notebook(
        path,
        executed,
        {"profile": "smoke"},
        root=tmp_path,
        figures=tmp_path,
        live=(LiveOutput(shown), LiveOutput(shown)),
    )
    assert executed.read_bytes() == first


def test_a_failing_cell_writes_nothing_and_is_numbered_as_in_the_source(tmp_path: Path) -> None:
    path, executed = tmp_path / "01.ipynb", tmp_path / "01_executed.ipynb"
    tiny.write_notebook(path, "x = 1", "1 / 0")
    with pytest.raises(NotebookError, match=r"01\.ipynb, cell 4: ZeroDivisionError: division by zero") as caught:
        run_notebook(path, executed, {"profile": "smoke"}, root=tmp_path, figures=tmp_path)
    assert caught.value.details.splitlines()[-1] == "ZeroDivisionError: division by zero"
    assert not executed.exists()


def test_an_error_meant_for_the_user_has_no_traceback(tmp_path: Path) -> None:
    path = tmp_path / "01.ipynb"
    tiny.write_notebook(path, "from zdlib.errors import ZDError\nraise ZDError('a.mat: no key depths: use another')")
    with pytest.raises(NotebookError) as caught:
        run_notebook(path, tmp_path / "executed.ipynb", {"profile": "smoke"}, root=tmp_path, figures=tmp_path)
    assert str(caught.value) == "01.ipynb, cell 3: a.mat: no key depths: use another"
    assert caught.value.details == ""


def test_a_full_disk_is_one_line_and_the_old_file_stays(tmp_path: Path) -> None:
    path, table = tmp_path / "01.ipynb", tmp_path / "out" / "table.csv"
    table.parent.mkdir()
    table.write_text("old")
    code = (
        "import errno, os\n"
        "def full(descriptor):\n    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))\n"
        f"os.fsync = full\nfrom zdlib.files import write_text\nwrite_text({str(table)!r}, 'new')"
    )
    tiny.write_notebook(path, code)
    with pytest.raises(
        NotebookError, match=r"cell 3: .*table\.csv: cannot be written \(No space left on device\)"
    ) as caught:
        run_notebook(path, tmp_path / "out" / "executed.ipynb", {"profile": "smoke"}, root=tmp_path, figures=tmp_path)
    assert caught.value.details == ""
    assert table.read_text() == "old"
    assert list(table.parent.iterdir()) == [table]


def test_a_dead_kernel_is_told(tmp_path: Path) -> None:
    path = tmp_path / "01.ipynb"
    tiny.write_notebook(path, "import os\nos._exit(3)")
    with pytest.raises(NotebookError, match=r"01\.ipynb: its Python process died \(out of memory, or killed\)"):
        run_notebook(path, tmp_path / "executed.ipynb", {"profile": "smoke"}, root=tmp_path, figures=tmp_path)


def test_a_carriage_return_overwrites_its_line() -> None:
    assert collapse_returns("a\n 0%\r 50%\r100%\nb") == "a\n100%\nb"
    assert collapse_returns("100%\r") == "100%"
    assert collapse_returns("\x1b[31mred\x1b[0m\x1b[A") == "red"


def test_off_a_terminal_a_bar_becomes_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(notebook.time, "monotonic", lambda: now[0])
    shown = io.StringIO()
    live = LiveOutput(shown, every=20.0)
    for second in range(60):
        now[0] = float(second)
        live.write(f"\r{second} images")
    live.write("\n")
    assert shown.getvalue().splitlines() == ["21 images", "42 images", "59 images"]


def test_on_a_terminal_everything_passes_through() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    shown = Terminal()
    LiveOutput(shown).write("\r50%")
    assert shown.getvalue() == "\r50%"
    parallel = LiveOutput(shown, prefix="03_training: ")
    parallel.write("\r60%\r70%\n")
    assert shown.getvalue() == "\r50%03_training: 70%\n"


def test_clean_keeps_tags_and_drops_what_differs_between_runs(tmp_path: Path) -> None:
    outputs = [
        new_output("stream", name="stderr", text="warning"),
        new_output("stream", name="stdout", text="1\r2\n"),
        new_output("display_data", data={"text/plain": "<Styler at 0x7f00aa>"}, metadata={"zdlib": {"figure": "x"}}),
    ]
    metadata = {"tags": ["keep", "papermill-error-cell-tag"], "execution": {"iopub.status.busy": "2026"}}
    cell = new_code_cell("1", metadata=metadata, outputs=outputs)
    node = clean(new_notebook(cells=[cell], metadata={"papermill": {"duration": 3}, "widgets": {}}), tmp_path, tmp_path)
    assert set(node.metadata) == {"kernelspec", "language_info"}
    assert node.cells[0].metadata == {"tags": ["keep"]}
    assert [output.get("text") for output in node.cells[0].outputs] == ["2\n", None]
    assert node.cells[0].outputs[1].data["text/plain"] == "<Styler>"
    assert node.cells[0].outputs[1].metadata == {"zdlib": {"figure": "x"}}


def test_a_picture_that_is_a_file_is_shown_from_there(tmp_path: Path) -> None:
    """An executed notebook holds no bytes that the figures' folder holds; other pictures stay in it."""
    folder, figures = tmp_path / "results" / "tiny" / "notebooks", tmp_path / "figures" / "tiny"
    figures.mkdir(parents=True)
    (figures / "loss.png").write_bytes(b"a picture")
    data = {"image/png": base64.b64encode(b"a picture").decode(), "text/plain": "figure loss"}
    marks = {"zdlib": {"figure": "loss", "caption": "Loss.", "width": 792}, "image/png": {"width": 792}}
    pictures = [
        new_output("display_data", data=data, metadata=marks),
        new_output("display_data", data=data | {"image/png": base64.b64encode(b"another").decode()}, metadata=marks),
        new_output("display_data", data=data),
    ]
    linked, *kept = clean(new_notebook(cells=[new_code_cell("1", outputs=pictures)]), folder, figures).cells[0].outputs
    source = re.fullmatch(r'<img src="([^"]+)" alt="loss" width="792">', linked.data.pop("text/html"))
    assert source is not None
    assert (folder / source[1]).resolve() == (figures / "loss.png").resolve()
    assert linked.data == {"text/plain": "figure loss"}
    assert linked.metadata == {"zdlib": marks["zdlib"]}
    assert all("image/png" in output.data for output in kept)
