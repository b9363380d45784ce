"""The report as PDF, by a browser that is on the machine: equations and page numbers are its work.

python -m zdlib.paper.page.printing --profile demo        # ./run_all.sh --pdf calls it
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from zdlib.errors import ZDError
from zdlib.paths import RunPaths

BROWSERS = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "microsoft-edge",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)
_SECONDS = 300


def write_pdf(page: Path, target: Path) -> None:
    """Print an HTML page on A4, with an outline of its headings.

    Raises:
        ZDError: there is no page, no browser to print it, or the browser fails.
    """
    if not page.is_file():
        raise ZDError(f"{page}: no such file: ./run_all.sh writes it")
    browser = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if browser is None:
        raise ZDError("no browser to print with: install Chromium (apt install chromium) or Google Chrome")
    with tempfile.TemporaryDirectory(prefix="zdlib-print-") as scratch:
        printed = Path(scratch) / "report.pdf"
        command = [browser, "--headless", "--disable-gpu", f"--user-data-dir={scratch}/user"]
        if os.geteuid() == 0:
            command.append("--no-sandbox")  # for root, as in containers, Chromium has none
        command += ["--no-pdf-header-footer", "--generate-pdf-document-outline", f"--print-to-pdf={printed}"]
        try:
            done = subprocess.run(
                [*command, page.resolve().as_uri()], capture_output=True, text=True, timeout=_SECONDS, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise ZDError(f"{browser}: printing took more than {_SECONDS} s: try again on a quieter machine") from error
        if not printed.is_file():
            last = done.stderr.strip().splitlines()[-1:] or ["no message"]
            raise ZDError(f"{browser}: did not print {page} ({last[0]}): open it in a browser and print it there")
        shutil.copyfile(printed, target)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; see the module's docstring."""
    parser = argparse.ArgumentParser(prog="python -m zdlib.paper.page.printing", description="The report as PDF.")
    parser.add_argument("--profile", default="demo")
    folder = RunPaths(parser.parse_args(arguments).profile).results
    try:
        write_pdf(folder / "report.html", folder / "report.pdf")
    except ZDError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(folder / "report.pdf")
    return 0


if __name__ == "__main__":
    sys.exit(main())
