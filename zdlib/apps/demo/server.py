"""The page's server: on one address, with files in one temporary folder that goes when it ends."""

import errno
import logging
import os
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zdlib.apps.demo.guard import App, Guard, Message, Receive, Send
from zdlib.errors import ZDError
from zdlib.gates.opening import Limit

GRADIO = "6.31.0"  # as in pyproject.toml, which says why it is not in the extra itself
UPLOAD = Limit("ZD_MAX_UPLOAD", 64 * 1024**2, "bytes of an upload")
_LOCAL = frozenset({"127.0.0.1", "localhost", "[::1]"})
_GRACE = 3  # seconds that open connections have when it ends


@dataclass(frozen=True)
class Settings:
    """What the command line says.

    Attributes:
        host, port: where to listen; port 0 takes a free one.
        weights, model: a checkpoint of one's own, and which model it holds.
        device: where to predict.
        max_pixels: of a picture.
    """

    host: str = "127.0.0.1"
    port: int = 7860
    weights: Path | None = None
    model: str | None = None
    device: str = "cpu"
    max_pixels: int = 32_000_000


def serve(settings: Settings) -> None:
    """Serve until Ctrl-C or SIGTERM.

    Raises:
        ZDError: an extra is missing, the address cannot be had, or the checkpoint not loaded.
    """
    # A signal is an end in order, too: uvicorn has closed its connections before it passes one on.
    with suppress(KeyboardInterrupt), listening(settings.host, settings.port) as connection, _temporary() as folder:
        require_gradio()
        app = _application(settings, folder)
        host, port = connection.getsockname()[:2]
        print(f"zdlib: http://{_written(host)}:{port} (Ctrl-C ends it)", flush=True)
        _run(app, connection)
    print("zdlib: the page is closed", file=sys.stderr)


def require_gradio() -> None:
    """Insist on what draws the page and writes points; and tell Gradio, before it is imported, to report nothing.

    Raises:
        ZDError: it is not installed; the line names the extra.
    """
    os.environ.update(GRADIO_ANALYTICS_ENABLED="False", HF_HUB_DISABLE_TELEMETRY="1")
    try:
        import gradio  # noqa: F401
        import trimesh  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise ZDError(
            f"zdlib demo needs the extra demo, and Gradio ({error.name} is missing): pip install 'zdlib[demo]' && pip "
            f"install --no-deps gradio=={GRADIO}"
        ) from error


@contextmanager
def listening(host: str, port: int) -> Iterator[socket.socket]:
    """A socket that is bound to an address.

    Raises:
        ZDError: the address is none of this machine's, or the port is taken or reserved.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        connection = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as error:
        raise ZDError(f"--host {host[:100]}: no address of this machine: leave it out, or name one") from error
    with connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            connection.bind(address)
        except OSError as error:
            if error.errno == errno.EADDRNOTAVAIL:
                raise ZDError(f"--host {host}: no address of this machine: leave it out, or name one") from error
            reason = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be used ({error.strerror})"
            raise ZDError(f"--port {port}: {reason}: choose another, or 0 for a free one") from error
        yield connection


@contextmanager
def _temporary() -> Iterator[Path]:
    """A folder for everything that uploads and results become; it goes with all that is in it."""
    with tempfile.TemporaryDirectory(prefix="zdlib-demo-", ignore_cleanup_errors=True) as name:
        os.environ.update(GRADIO_TEMP_DIR=f"{name}/uploads", GRADIO_EXAMPLES_CACHE=f"{name}/examples_cache")
        before, tempfile.tempdir = tempfile.tempdir, name
        try:
            yield Path(name)
        finally:
            tempfile.tempdir = before


def _application(settings: Settings, folder: Path) -> Any:
    """The page behind its guard."""
    from fastapi import FastAPI
    from gradio import mount_gradio_app, processing_utils

    from zdlib.apps.demo.examples import example_pictures
    from zdlib.apps.demo.measure import measure
    from zdlib.apps.demo.networks import Networks
    from zdlib.apps.demo.page import build_page, style

    processing_utils.async_ssrf_protected_get = _fetch_nothing
    networks = Networks(settings.weights, settings.model, settings.device, lambda line: print(f"zdlib: {line}"))
    limit = Limit("--max-pixels", settings.max_pixels, "pixels")
    uploads = folder / "uploads"
    uploads.mkdir()
    page = build_page(
        networks,
        lambda wanted, say: measure(networks, limit, uploads, wanted, say),
        example_pictures(folder / "examples"),
    )
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    mount_gradio_app(
        app,
        page,
        path="/",
        max_file_size=UPLOAD.value,
        css=style(),
        footer_links=[],
        run_history=False,
        ssr_mode=False,
        mcp_server=False,
        pwa=False,
        enable_monitoring=False,
    )
    hosts = _LOCAL if settings.host in ("127.0.0.1", "localhost", "::1") else None
    return Guard(_patient(app), UPLOAD.value, hosts)


def _patient(app: App) -> App:
    """The application, to which an upload that breaks off is nothing to report."""
    from starlette.requests import ClientDisconnect

    async def patient(scope: Message, receive: Receive, send: Send) -> None:
        with suppress(ClientDisconnect):
            await app(scope, receive, send)

    return patient


async def _fetch_nothing(url: str) -> Any:
    """In the place of what fetches an address that a visitor gives instead of a file."""
    from gradio import Error

    raise Error("addresses are not fetched: upload the picture", print_exception=False)


def _run(app: Any, connection: socket.socket) -> None:
    """Answer requests until a signal."""
    import uvicorn

    logging.getLogger("python_multipart").setLevel(logging.ERROR)  # a malformed upload is its sender's mistake
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, timeout_graceful_shutdown=_GRACE, server_header=False, ws="none"
    )
    uvicorn.Server(config).run(sockets=[connection])


def _written(host: str) -> str:
    return f"[{host}]" if ":" in host else host
