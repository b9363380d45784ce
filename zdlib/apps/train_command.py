"""`zdlib train`: one run of a profile."""

import argparse

from zdlib.apps.commands import Commands
from zdlib.errors import ZDError


def add_parser(commands: Commands) -> None:
    """Add the command to the program's."""
    train = commands.add_parser(
        "train",
        help="train one run of a profile",
        description="Trains as notebook 03 does and writes results/PROFILE/checkpoints/RUN.safetensors and its logs. "
        "A run that has ended with the same profile, data and code is reused, one that was stopped or killed goes on "
        "where it was. Exit status: 0 trained, 1 an error, 130 stopped by Ctrl-C and 143 by SIGTERM, both with the "
        "state saved. On several GPUs: torchrun --nproc_per_node 4 -m -- zdlib train …",
    )
    train.add_argument("--profile", default="demo", help="a file of profiles/ (default demo)")
    train.add_argument("--run", dest="run_name", metavar="RUN", required=True, help="a key of the profile's runs")
    train.add_argument(
        "--set",
        dest="changes",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="another value than the profile's, like train.lr=1e-3; may be repeated; needs --out",
    )
    train.add_argument("--out", metavar="NAME", help="write to results/NAME instead of results/PROFILE")
    group = train.add_mutually_exclusive_group()
    group.add_argument(
        "--resume",
        dest="start",
        action="store_const",
        const="resume",
        help="refuse to leave behind an unfinished run of another configuration, and name the difference",
    )
    group.add_argument("--fresh", dest="start", action="store_const", const="fresh", help="begin in any case")
    train.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    from zdlib.config import load_profile
    from zdlib.data.streets.export import prepare_what_is_read
    from zdlib.distributed import is_first, join, leave, wait
    from zdlib.paths import RunPaths
    from zdlib.train.run import train

    profile = load_profile(options.profile, changes=options.changes)
    if options.changes and options.out is None:
        raise ZDError(f"--set: results/{profile.name} belongs to the profile as it is: name another folder with --out")
    try:
        join()
        if is_first():
            prepare_what_is_read(profile.data)
        wait()
        result = train(profile, options.run_name, RunPaths(options.out or profile.name), options.start)
        if is_first():
            print(result)
    finally:
        leave()
