"""`zdlib demo`: a page on this machine that measures the depth of a picture."""

import argparse
from pathlib import Path

from zdlib.apps.commands import Commands
from zdlib.apps.predict_command import LARGEST


def add_parser(commands: Commands) -> None:
    """Add the command to the program's."""
    demo = commands.add_parser(
        "demo",
        help="a page on this machine: drop a picture, read metres, turn its points",
        description="Serves a page at http://127.0.0.1:7860 until Ctrl-C. Pictures stay on this machine, and nothing "
        "is loaded from another host, except for the weights of a network that the page names as fetched once, when "
        "it is used. Needs the extra demo.",
    )
    demo.add_argument("--weights", type=Path, metavar="FILE", help="also offer this checkpoint, as the first choice")
    demo.add_argument("--model", help="which model --weights holds, where the file does not say")
    demo.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen on (default 127.0.0.1: this machine alone; 0.0.0.0 lets everybody in the network in)",
    )
    demo.add_argument("--port", type=_port, default=7860, help="port to listen on, 0 for a free one (default 7860)")
    demo.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1, … (default cpu)")
    demo.add_argument(
        "--max-pixels", type=int, default=LARGEST, metavar="N", help=f"refuse larger pictures (default {LARGEST:,})"
    )
    demo.set_defaults(run=_run)


def _port(text: str) -> int:
    """A port's number.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    if not (text.isascii() and text.isdecimal() and len(text) < 6 and int(text) < 65536):
        raise argparse.ArgumentTypeError(f"{text[:40]}: give a number between 0 and 65535")
    return int(text)


def _run(options: argparse.Namespace) -> None:
    from zdlib.apps.demo.server import Settings, serve
    from zdlib.errors import ZDError

    if options.model and not options.weights:
        raise ZDError("--model: says what --weights holds: name the file, or choose the network on the page")
    serve(Settings(options.host, options.port, options.weights, options.model, options.device, options.max_pixels))
