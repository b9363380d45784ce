"""`python -m scenes.streets`: regenerate the embedded road scenes.

python -m scenes.streets generate --work FOLDER     render both sets (half an hour of one core; resumable)
python -m scenes.streets pack --work FOLDER         write data/streets/ from what was rendered
python -m scenes.streets accept                     test pairs and clips of the stores against their geometry
python -m scenes.streets contact SHEET.jpg          contact sheet of the stores
python -m scenes.streets datasheet                  rewrite the numbers in DATASHEET.md
"""

import argparse
import sys
from pathlib import Path

from zdlib.errors import ZDError
from zdlib.paths import resolve

STORES = "data/streets"
SETS = ("streets_k", "streets_v")


def _generate(options: argparse.Namespace) -> None:
    from scenes.streets.generate import PLANS, render_clips

    for name in options.sets:
        for seed, style, seconds in render_clips(PLANS[name], options.work):
            print(f"{name} seed {seed} {style} {seconds:.1f} s", flush=True)


def _pack(options: argparse.Namespace) -> None:
    from scenes.streets.pack import pack_all

    pack_all(options.work, options.stores)


def _accept(options: argparse.Namespace) -> None:
    from scenes.streets import acceptance
    from zdlib.data.streets.store import open_store

    results = acceptance.table(open_store(options.stores / "streets_k.h5"))
    print(results.T.to_string(float_format="{:.4f}".format))
    if not acceptance.accepted(results):
        raise ZDError(f"{options.stores}: pairs do not obey their geometry: see the table")


def _contact(options: argparse.Namespace) -> None:
    from scenes.streets.datasheet import write_contact_sheet

    write_contact_sheet(options.stores, options.sheet)


def _datasheet(options: argparse.Namespace) -> None:
    from scenes.streets.datasheet import update

    update(options.stores)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m scenes.streets", description="Regenerate the road scenes.")
    commands = parser.add_subparsers(required=True)
    generate = commands.add_parser("generate", help="render the clips, one .npz each; resumable")
    generate.add_argument("--work", type=Path, required=True, help="folder for the rendered clips (0.2 GB)")
    generate.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS), help="sets to render")
    generate.set_defaults(run=_generate)
    pack = commands.add_parser("pack", help="write the stores and CREDITS.csv from rendered clips")
    pack.add_argument("--work", type=Path, required=True, help="folder that `generate` wrote")
    pack.set_defaults(run=_pack)
    accept = commands.add_parser("accept", help="photometric test of pairs and clips")
    accept.set_defaults(run=_accept)
    contact = commands.add_parser("contact", help="contact sheet of the stores")
    contact.add_argument("sheet", type=Path, help="the JPEG file to write")
    contact.set_defaults(run=_contact)
    statistics = commands.add_parser("datasheet", help="rewrite the numbers in DATASHEET.md")
    statistics.set_defaults(run=_datasheet)
    for command in (pack, accept, contact, statistics):
        command.add_argument("--stores", type=Path, default=resolve(STORES), help="folder of the stores")
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
