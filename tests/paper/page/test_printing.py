"""The PDF: one command, and one line where it cannot be."""

import shutil
import stat
from pathlib import Path

import pytest

from zdlib.errors import ZDError
from zdlib.paper.page import printing


@pytest.fixture
def page(tmp_path: Path) -> Path:
    (tmp_path / "report.html").write_text("<h1>x</h1>")
    return tmp_path / "report.html"


def browser(folder: Path, script: str) -> str:
    path = folder / "browser"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def test_what_is_missing_is_one_line(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ZDError, match=r"none\.html: no such file"):
        printing.write_pdf(page.with_name("none.html"), page.with_suffix(".pdf"))
    monkeypatch.setattr(printing, "BROWSERS", ("no-such-browser",))
    with pytest.raises(ZDError, match="no browser to print with: install Chromium"):
        printing.write_pdf(page, page.with_suffix(".pdf"))


def test_a_browser_that_fails_leaves_the_pdf_as_it_was(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page.with_suffix(".pdf").write_text("old")
    monkeypatch.setattr(printing, "BROWSERS", (browser(page.parent, "echo no display >&2; exit 1"),))
    with pytest.raises(ZDError, match=r"did not print .*\(no display\)"):
        printing.write_pdf(page, page.with_suffix(".pdf"))
    assert page.with_suffix(".pdf").read_text() == "old"


@pytest.mark.slow
@pytest.mark.skipif(not any(map(shutil.which, printing.BROWSERS)), reason="no browser here")
def test_a_page_is_printed(page: Path) -> None:
    printing.write_pdf(page, page.with_suffix(".pdf"))
    assert page.with_suffix(".pdf").read_bytes().startswith(b"%PDF")
