"""`python -m scenes.rooms`: regenerate the embedded rooms.

python -m scenes.rooms generate --work FOLDER      render both data sets (an hour of one core; resumable)
python -m scenes.rooms pack --work FOLDER          write data/rooms/ from what was rendered
python -m scenes.rooms contact SHEET.jpg           contact sheet of the committed images
python -m scenes.rooms datasheet                   write the statistics of DATASHEET.md
"""

import argparse
import sys
from pathlib import Path

from scenes.rooms import datasheet
from scenes.rooms.generate import PLANS, render_scenes
from zdlib.errors import ZDError
from zdlib.paths import resolve

STORES = "data/rooms"


def _generate(options: argparse.Namespace) -> None:
    if not 0 <= options.part < options.parts:
        raise ZDError(f"--part {options.part} of --parts {options.parts}: parts are numbered from 0")
    for name in options.sets:
        for seed, view in render_scenes(PLANS[name], options.work, part=options.part, parts=options.parts):
            print(f"{name} seed {seed} view {view}", flush=True)


def _pack(options: argparse.Namespace) -> None:
    # Needs the furniture's catalogue (for the credits), so it is imported only here.
    from scenes.rooms.pack import pack_all

    pack_all(options.work, options.stores)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m scenes.rooms", description="Regenerate the embedded rooms.")
    commands = parser.add_subparsers(required=True)
    generate = commands.add_parser("generate", help="render the rooms, one .npz an image; resumable")
    generate.add_argument("--work", type=Path, required=True, help="folder for the rendered images (0.4 GB)")
    generate.add_argument("--sets", nargs="+", choices=list(PLANS), default=list(PLANS), help="data sets to render")
    generate.add_argument("--part", type=int, default=0, help="this process's number, from 0")
    generate.add_argument("--parts", type=int, default=1, help="number of processes that share the work")
    generate.set_defaults(run=_generate)
    pack = commands.add_parser("pack", help="write the stores and CREDITS.csv from rendered images")
    pack.add_argument("--work", type=Path, required=True, help="folder that `generate` wrote")
    pack.add_argument("--stores", type=Path, default=resolve(STORES), help="folder of the stores")
    pack.set_defaults(run=_pack)
    contact = commands.add_parser("contact", help="contact sheet of the stores")
    contact.add_argument("sheet", type=Path, help="the JPEG file to write")
    contact.add_argument("--stores", type=Path, default=resolve(STORES), help="folder of the stores")
    contact.set_defaults(run=lambda options: datasheet.write_contact_sheet(options.stores, options.sheet))
    statistics = commands.add_parser("datasheet", help="rewrite the numbers in DATASHEET.md")
    statistics.add_argument("--stores", type=Path, default=resolve(STORES), help="folder of the stores")
    statistics.set_defaults(run=lambda options: datasheet.update(options.stores))
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run a sub-command; 0 if it succeeded, 1 after one line on stderr if not."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except ZDError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted: run the same command again to go on", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
