"""Run one notebook with papermill: strict about parameters, live on the terminal, and all or nothing on disk."""

import ast
import base64
import html
import io
import logging
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

import nbformat
import papermill
from jupyter_client.asynchronous import AsyncKernelClient
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from jupyter_core.utils import run_sync
from nbclient.exceptions import DeadKernelError
from papermill.exceptions import PapermillExecutionError

from zdlib.errors import ZDError
from zdlib.files import write_text
from zdlib.gates.locks import is_alive
from zdlib.source_closure import notebook_cells

_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")
_TRACEBACK_LINES = 12
_SCRATCH = "zdlib-kernel-"  # folders of temporary files are called so, then by the number of their process
_NO_WIDGETS = "ignore:IProgress not found"
for name in ("papermill", "asyncio"):
    logging.getLogger(name).setLevel(logging.CRITICAL)  # they repeat what is raised


class NotebookError(ZDError):
    """A cell raised an error. `details` holds the last lines of its traceback (none for a `ZDError`)."""

    def __init__(self, message: str, details: str = ""):
        super().__init__(message)
        self.details = details


class ThisPython(AsyncKernelManager):
    """A kernel on the running interpreter: no kernel has to be installed on the machine, and none there is trusted."""

    connection: AsyncKernelClient | None = None

    @property
    def kernel_spec(self) -> KernelSpec:
        """The one specification that needs no look-up."""
        argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        return KernelSpec(argv=argv, display_name="Python 3", language="python")

    def client(self, **options: Any) -> AsyncKernelClient:  # type: ignore[override]
        """As the parent's, and remembered: whoever brings a kernel to nbclient must also close its connections."""
        self.connection = super().client(**options)
        return self.connection

    def stop(self) -> None:
        """End the connections and the process."""
        if self.connection is not None:
            self.connection.stop_channels()
        run_sync(self.shutdown_kernel)()


class LiveOutput:
    """File-like target for a kernel's output: passes through on a terminal, one line now and then elsewhere.

    A progress bar rewrites its line (carriage return) many times per second. On a terminal that is what it is for; in a
    log, its latest state is printed every `every` seconds.
    """

    def __init__(self, stream: TextIO | io.TextIOBase, prefix: str = "", every: float = 20.0):
        self._stream = stream
        self._prefix = prefix
        self._every = every
        self._raw = stream.isatty() and not prefix
        self._line = ""
        self._printed = time.monotonic()

    def write(self, text: str) -> None:
        """Take a piece of output."""
        if self._raw:
            self._stream.write(text)
            return
        *finished, self._line = (self._line + _ANSI.sub("", text)).split("\n")
        for line in finished:
            self._emit(line)
        if "\r" in self._line and time.monotonic() - self._printed > self._every:
            self._emit(self._line)
            self._line = ""

    def flush(self) -> None:
        """Push what was written through."""
        self._stream.flush()

    def close(self) -> None:
        """Print an unfinished line."""
        self._emit(self._line)
        self._line = ""
        self.flush()

    def _emit(self, line: str) -> None:
        visible = collapse_returns(line).rstrip()
        if visible:
            self._stream.write(f"{self._prefix}{visible}\n")
            self._printed = time.monotonic()


def collapse_returns(text: str) -> str:
    """What a terminal would still show of `text`: in each line, only what follows the last carriage return."""
    lines = _ANSI.sub("", text).split("\n")
    return "\n".join(next((part for part in reversed(line.split("\r")) if part), "") for line in lines)


def check_parameters(notebook: Path, parameters: Mapping[str, Any]) -> None:
    """Refuse what papermill only warns about.

    Raises:
        ZDError: no cell, or more than one, is tagged `parameters`, or that cell does not assign a given parameter.
    """
    tagged = [
        str(cell["source"])
        for cell in notebook_cells(notebook)
        if "parameters" in ((cell.get("metadata") or {}).get("tags") or [])  # type: ignore[attr-defined]
    ]
    if len(tagged) != 1:
        raise ZDError(f"{notebook}: {len(tagged)} cells are tagged 'parameters': tag exactly one")
    try:
        nodes = ast.parse(tagged[0]).body
    except SyntaxError as error:
        raise ZDError(f"{notebook}: the parameters cell is not valid Python ({error.msg})") from error
    known = {
        target.id
        for node in nodes
        for target in (node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)])
        if isinstance(target, ast.Name)
    }
    for name in sorted(set(parameters) - known):
        raise ZDError(
            f"{notebook}: no parameter {name!r}: assign it in the parameters cell ({', '.join(sorted(known))})"
        )


def run_notebook(
    notebook: Path,
    executed: Path,
    parameters: Mapping[str, Any],
    *,
    root: Path,
    figures: Path,
    live: tuple[LiveOutput, LiveOutput] | None = None,
) -> None:
    """Execute `notebook` from folder `root` and write it to `executed`, only if every cell has succeeded.

    The written notebook depends on the sources and results alone: no times, machine paths, addresses or progress bars.
    Pictures that are files of folder `figures` too are shown from there, by relative path.

    Raises:
        NotebookError: a cell raised an error, or the kernel died.
        ZDError: see `check_parameters`.
    """
    check_parameters(notebook, parameters)
    stdout, stderr = live or (LiveOutput(sys.stdout), LiveOutput(sys.stdout))
    _sweep()
    with tempfile.TemporaryDirectory(prefix=f"{_SCRATCH}{os.getpid()}-") as scratch:
        # Sockets in a private folder instead of open ports: nobody else on the machine can reach the kernel.
        # (ipykernel listens on one port of 127.0.0.1 all the same, for output of subprocesses that know its secret.)
        kernel = ThisPython(connection_file=f"{scratch}/kernel.json", transport="ipc", ip=f"{scratch}/socket")
        kernel.shutdown_wait_time = 60.0  # seconds: a training that is interrupted saves its state first
        # What the process itself writes (not its cells) is only worth reading when it has died.
        log = Path(scratch) / "kernel.log"
        with open(log, "wb") as sink:
            run_sync(kernel.start_kernel)(env=_environment(scratch), cwd=str(root), stdout=sink, stderr=sink)
        try:
            node = papermill.execute_notebook(
                notebook,
                None,
                parameters=dict(parameters),
                kernel_name="python3",
                language="python",
                cwd=root,
                progress_bar=False,
                stdout_file=stdout,
                stderr_file=stderr,
                km=kernel,
            )
        except PapermillExecutionError as error:
            raise _explain(notebook, error) from error
        except DeadKernelError as error:
            message = f"{notebook.name}: its Python process died (out of memory, or killed): free memory and run again"
            details = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-_TRACEBACK_LINES:]
            raise NotebookError(message, "\n".join(details)) from error
        except KeyboardInterrupt:
            # The running cell must see the interrupt, or its half-written temporary files would stay behind.
            run_sync(kernel.interrupt_kernel)()
            raise
        finally:
            stderr.close()
            stdout.close()
            kernel.stop()
    write_text(executed, nbformat.writes(clean(node, executed.parent, figures)) + "\n")


def _environment(scratch: str) -> dict[str, str]:
    """Nobody's IPython start-up files or history; a fixed hash seed, so that set order repeats."""
    environment = {**os.environ, "IPYTHONDIR": scratch, "PYTHONHASHSEED": "0"}
    # tqdm says so whenever a package imports its notebook bar and ipywidgets is absent; bars here are plain text.
    environment["PYTHONWARNINGS"] = ",".join(filter(None, [os.environ.get("PYTHONWARNINGS"), _NO_WIDGETS]))
    return environment


def _sweep() -> None:
    """Remove the scratch folders of processes that were killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_SCRATCH}*"):
        number = folder.name.removeprefix(_SCRATCH).partition("-")[0]
        if number.isdecimal() and not is_alive(int(number)) and folder.is_dir() and not folder.is_symlink():
            shutil.rmtree(folder, ignore_errors=True)  # another user's stays


def clean(node: nbformat.NotebookNode, folder: Path, figures: Path) -> nbformat.NotebookNode:
    """Strip a notebook of everything that differs between two equal runs, and of pictures that `figures` holds.

    Args:
        node: the notebook; it is changed and returned.
        folder: where it will lie.
        figures: the folder that `save_figure` writes to.
    """
    node.metadata = nbformat.from_dict(
        {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"file_extension": ".py", "mimetype": "text/x-python", "name": "python"},
        }
    )
    for cell in node.cells:
        tags = [tag for tag in cell.metadata.get("tags", []) if not tag.startswith("papermill")]
        cell.metadata = nbformat.from_dict({"tags": tags} if tags else {})
        if "injected-parameters" in tags:
            cell["id"] = "injected-parameters"
        if cell.cell_type == "code":
            kept = [output for output in cell.outputs if output.get("name") != "stderr"]
            cell.outputs = [_linked(_clean_output(output), folder, figures) for output in kept]
    return node


def _clean_output(output: nbformat.NotebookNode) -> nbformat.NotebookNode:
    if output.output_type == "stream":
        output.text = collapse_returns(output.text)
    data = output.get("data", {})
    if "text/plain" in data:
        data["text/plain"] = _ADDRESS.sub("", data["text/plain"])
    return output


def _linked(output: nbformat.NotebookNode, folder: Path, figures: Path) -> nbformat.NotebookNode:
    """An output of `save_figure` without its bytes, where the file that it wrote has the same."""
    marks = output.get("metadata", {}).get("zdlib", {})
    content = output.get("data", {}).get("image/png")
    if content is None or "figure" not in marks:
        return output
    file = figures / f"{marks['figure']}.png"
    if not file.is_file() or file.read_bytes() != base64.b64decode(content):
        return output
    source = Path(os.path.relpath(file, folder)).as_posix()
    image = f'<img src="{html.escape(source)}" alt="{html.escape(marks["figure"])}" width="{marks["width"]}">'
    output.data = nbformat.from_dict({"text/html": image, "text/plain": output.data["text/plain"]})
    output.metadata = nbformat.from_dict({"zdlib": marks})
    return output


def _explain(notebook: Path, error: PapermillExecutionError) -> NotebookError:
    sources = notebook_cells(notebook)
    tagged = next(i for i, cell in enumerate(sources) if "parameters" in str(cell.get("metadata")))
    # Papermill has put one cell after the parameters cell; readers count without it.
    number = error.cell_index + (1 if error.cell_index <= tagged else 0)
    where = f"{notebook.name}, cell {number}"
    if error.ename == ZDError.__name__:
        return NotebookError(f"{where}: {error.evalue}")
    lines = [line for block in error.traceback for line in _ANSI.sub("", block).splitlines() if line.strip()]
    return NotebookError(f"{where}: {error.ename}: {error.evalue}", "\n".join(lines[-_TRACEBACK_LINES:]))
