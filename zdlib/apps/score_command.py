"""`zdlib score`: metrics of predictions that are files, whatever model made them."""

import argparse
from pathlib import Path

from zdlib.apps.commands import Commands
from zdlib.errors import ZDError
from zdlib.gates.outputs import plan_outputs


def add_parser(commands: Commands) -> None:
    """Add the command to the program's."""
    score = commands.add_parser(
        "score",
        help="metrics of any model's predictions",
        description="Scores predictions that are files: NAME.npy or NAME.npz (metres) or 16-bit NAME.png in a folder, "
        "or one .npy or .npz with all of them. NAME is the frame's: nyu_0000 to nyu_1448, or its number (0000, 1, …); "
        "the image's name for ibims and folder. Files of frames that the protocol does not use do no harm. "
        "Exit status 2 if a prediction is missing, extra, unreadable, of another size or not finite.",
    )
    score.add_argument("--dataset", required=True, help="nyu, ibims, another that `zdlib data list` names, or folder")
    score.add_argument("--protocol", help="standard, published, … (default: the data set's usual one); for a folder, "
                       "whose pixel rules are applied: nyu/standard, …")  # fmt: skip
    score.add_argument("--pred", required=True, type=Path, metavar="DIR", help="the predictions")
    score.add_argument("--gt", type=Path, help="the copy of the data set: NYU's .mat, or a folder (default for nyu and "
                       "ibims: in $ZD_DATA)")  # fmt: skip
    score.add_argument("--scale", type=float, metavar="UNITS", help="stored units a metre; 1000 for PNG in millimetres")
    score.add_argument("--first", type=int, choices=[0, 1], default=0, help="number of NYU's first frame in file names")
    score.add_argument("--splits", type=Path, help="nyu: another splits.mat than the one beside the .mat")
    score.add_argument("--list", type=Path, help="folder: text file of 'image depth' lines; kitti_raw: of frames")
    score.add_argument("--gt-scale", type=float, default=1000.0, metavar="UNITS", help="folder: units a metre (1000)")
    score.add_argument("--method", help="the row's name (default: the predictions' folder)")
    score.add_argument("--trained-on", choices=["official", "contiguous", "none"], help="nyu: split that trained it")
    score.add_argument("-o", "--out", type=Path, help="folder for the tables (CSV), per-image values and summary.json")
    score.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    from zdlib.evaluate.prediction_files import open_source
    from zdlib.evaluate.score import FILES, score
    from zdlib.evaluate.truth import find_protocol, open_truth

    if not 1e-6 < options.gt_scale < 1e9:  # a depth map's numbers are between kilometres and nanometres
        raise ZDError(f"--gt-scale {options.gt_scale:g}: is no unit: give how many units are a metre (1000 for mm)")
    protocol, source = find_protocol(options.dataset, options.protocol), open_source(options.pred)
    if options.out is not None:
        named = [path for path in (options.gt, options.splits, options.list) if path is not None]
        plan_outputs([(options.pred, [options.out / name for name in FILES])], named)
    truth = open_truth(
        options.dataset,
        options.gt,
        splits=options.splits,
        list_file=options.list,
        metres_per_unit=1 / options.gt_scale,
        kitti_depth=protocol.kitti_depth,
    )
    found = score(
        truth,
        protocol,
        source,
        options.method or options.pred.stem,
        units_per_metre=options.scale,
        first=options.first,
        trained_on=options.trained_on,
    )
    if options.out is not None:
        found.write(options.out)
    print(found.text())
