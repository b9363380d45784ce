"""The evaluations behind the tables, on ten tiny frames and untrained checkpoints."""

import json

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from scipy.ndimage import maximum_filter
from tiny_evaluations import COUNT, TEST, TRAIN

from zdlib.colours import INVALID
from zdlib.data import classes
from zdlib.data.sets.ibims import IBimsReader
from zdlib.errors import ZDError
from zdlib.evaluate.judge import evaluate_depth
from zdlib.metrics import protocols
from zdlib.models.factory import build_model
from zdlib.paper import evaluations, pictures
from zdlib.paper.data_summary import summarise_nyu
from zdlib.paper.figures import picture_grid
from zdlib.paths import RunPaths


@pytest.fixture(scope="module")
def nyu(made):
    return evaluations.nyu_study(*made)


def test_every_method_under_every_protocol(nyu):
    methods = ["constant depth", "mean depth map", "distilled", "control"]
    assert nyu.depth["method"].unique().tolist() == methods
    counts = nyu.depth.groupby("protocol")["method"].size()
    assert counts.to_dict() == dict.fromkeys(evaluations.NYU_PROTOCOLS, 4)
    images = nyu.depth.groupby("protocol")["images"].first().to_dict()
    assert images == {"nyu/standard": 4, "nyu/standard-291": 2, "nyu/published": 10, "nyu/published-291": 2}


def test_frames_that_were_trained_on_are_told(nyu):
    share = nyu.depth.set_index(["protocol", "method"])["trained_on"]
    assert share["nyu/standard", "distilled"] == 0
    assert share["nyu/published", "distilled"] == pytest.approx(60)
    assert (
        share["nyu/standard-291", "distilled"] == 100
    )  # frames 8 and 9: held out by one split, trained on by the other


def test_rows_are_means_of_the_files_beside_them(nyu, made):
    _, paths = made
    row = nyu.depth.set_index(["protocol", "method"]).loc[("nyu/standard", "control")]
    per_image = pd.read_csv(evaluations.per_image_path(paths, "nyu/standard", "control"))
    assert per_image["frame"].tolist() == TEST
    assert row["abs_rel"] == pytest.approx(per_image["abs_rel"].mean(), rel=1e-12)


def test_parameters_are_those_of_inference(nyu, made):
    profile, _ = made
    expected = sum(p.numel() for p in build_model(profile.model, segmentation=False).parameters()) / 1e6
    params = nyu.depth.set_index("method")["params_m"]
    assert set(params["distilled"]) == set(params["control"]) == {expected}
    assert params["constant depth"].isna().all()


def test_segmentation_is_scored_for_the_run_that_has_it(nyu):
    assert nyu.segmentation["method"].tolist() == ["distilled"]
    assert nyu.segmentation["images"].tolist() == [4]
    assert nyu.classes["class"].tolist() == list(classes.CLASS_NAMES[1:])
    assert nyu.classes["share"].sum() == pytest.approx(100)
    assert set(nyu.by_distance) == set(nyu.by_class) == {"distilled", "control"}


def test_the_control_is_compared_image_by_image(nyu, made):
    table = evaluations.against_control(*made, "nyu/standard")
    assert table["method"].unique().tolist() == ["distilled"]
    means = nyu.depth.query("protocol == 'nyu/standard'").set_index("method")["abs_rel"]
    row = table.set_index("metric").loc["abs_rel"]
    assert row["difference"] == pytest.approx(means["distilled"] - means["control"])
    assert row["clusters"] == 2


def test_no_control_no_comparison(nyu, made):
    profile, paths = made
    alone = profile.model_copy(update={"runs": {"distill": profile.runs["distill"]}})
    assert evaluations.against_control(alone, paths, "nyu/standard").empty


def test_quoted_rows_keep_their_source_and_their_data(nyu):
    table = evaluations.with_quoted(nyu, "nyu")
    assert set(table.loc[table["source"] == "this run", "data"]) == {"boxes"}
    quoted = table[table["source"] != "this run"]
    assert set(quoted["data"]) == {evaluations.NYU}
    original = quoted[quoted["protocol"] == "nyu/published"]
    assert original["trained_on"].tolist() == pytest.approx([79.917, 79.917], abs=1e-3)
    assert original["images"].tolist() == [1449, 1449]
    order = table["protocol"].drop_duplicates().tolist()
    assert order == list(evaluations.NYU_PROTOCOLS)


def test_sources_are_numbered_from_one(nyu):
    table = evaluations.with_quoted(nyu, "nyu")
    few = table[table["method"].isin(["distilled", "AdaBins", "BTS", "Zoe-Distill (README)"])]
    numbered, legend = evaluations.number_sources(few)
    assert set(numbered["method"]) == {"distilled", "AdaBins ¹", "BTS ¹", "Zoe-Distill (README) ²"}
    first, second = (few.set_index("method")["source"][name] for name in ("BTS", "Zoe-Distill (README)"))
    assert legend == f"Quoted: ¹ {first}; ² {second}."


def test_ibims_study(made):
    found = evaluations.ibims_study(*made)
    assert found.depth["method"].unique().tolist() == ["constant depth", "mean depth map", "distilled", "control"]
    assert set(found.depth["protocol"]) == set(evaluations.IBIMS_PROTOCOLS)
    assert (found.depth["trained_on"] == 0).all()
    assert found.geometry["planes"].tolist() == [2, 2]
    assert found.geometry[["dde_0", "dbe_accuracy", "pe_flatness", "boundary_f1"]].notna().all(axis=None)


def test_spread_frames_go_from_best_to_worst(nyu, made):
    _, paths = made
    errors = pd.read_csv(evaluations.per_image_path(paths, "nyu/standard", "distill")).set_index("frame")["abs_rel"]
    frames = evaluations.spread_frames(paths, "nyu/standard", "distill", 3)
    assert frames[0] == errors.idxmin()
    assert frames[-1] == errors.idxmax()
    assert len(evaluations.spread_frames(paths, "nyu/standard", "distill", 99)) == 4


def test_gallery_shows_what_was_judged(nyu, made):
    profile, paths = made
    reader = evaluations.open_nyu(profile).readers["raw"]
    protocol = protocols.get("nyu/standard")
    seen = pictures.views(profile, "distill", paths, reader, TEST[:2], protocol)
    again = evaluate_depth({TEST[0]: seen[0].metric}, {"raw": reader}, TEST[:1], protocol)
    stored = pd.read_csv(evaluations.per_image_path(paths, "nyu/standard", "distill"))
    assert again["abs_rel"].iloc[0] == pytest.approx(stored["abs_rel"].iloc[0], rel=1e-5)
    columns = [*pictures.main_columns(seen, 4.0), pictures.error_column(seen), *pictures.label_columns(seen)]
    assert all(picture.shape == (48, 64, 3) for column in columns for picture in column.pictures)
    assert isinstance(picture_grid(columns), Figure)
    without = pictures.views(profile, "control", paths, reader, TEST[:1], protocol)
    assert without[0].labels is None


def test_gallery_shows_edges_and_planes_where_there_are_any(nyu, made):
    profile, paths = made
    reader = IBimsReader(profile.data.ibims.root)
    seen = pictures.views(profile, "distill", paths, reader, [0], protocols.get("ibims/koch"))
    (edges,) = pictures.edge_column(seen).pictures
    true_only, _, both = pictures.EDGES[1]
    is_true = ((edges == true_only) | (edges == both)).all(axis=-1)
    assert (is_true == maximum_filter(seen[0].sample.edges, 3)).all()
    (planes,) = pictures.plane_column(seen).pictures
    on_a_plane = np.any([numbers > 0 for numbers, _ in seen[0].sample.planes.values()], axis=0)
    assert ((planes != INVALID).any(axis=-1) == on_a_plane).all()
    judged = protocols.get("nyu/standard")
    flat = pictures.views(profile, "distill", paths, evaluations.open_nyu(profile).readers["raw"], TEST[:1], judged)
    assert pictures.edge_column(flat).pictures == pictures.plane_column(flat).pictures == [None]


def test_missing_checkpoint_is_one_line(made):
    profile, _ = made
    with pytest.raises(ZDError, match="no such file"):
        evaluations.load_run(profile, "distill", RunPaths("elsewhere"))


def test_data_summary_counts_everything(made):
    profile, _ = made
    data = evaluations.open_nyu(profile)
    summary = summarise_nyu(data.readers["raw"], data.official)
    depths = [data.readers["raw"][i].depth for i in range(COUNT)]
    assert summary.histogram.sum() == sum(np.count_nonzero(d) for d in depths)
    parts = summary.parts().set_index("part")
    assert parts["frames"].to_dict() == {"train": len(TRAIN), "test": len(TEST)}
    assert parts["scenes"].to_dict() == {"train": 3, "test": 2}
    holes = 100 * np.mean([depths[i] == 0 for i in TEST])
    assert parts.loc["test", "no measurement [%]"] == pytest.approx(holes)
    assert parts.loc["test", "unlabelled [%]"] == pytest.approx(100 * 9 / (48 * 64))
    assert summary.classes["train"].sum() == pytest.approx(1)
    assert summary.overlap().iloc[:, 1:].to_numpy().tolist() == [[4, 4, 8], [2, 0, 2]]
    assert summary.shared_scenes() == 0


def test_most_vanishing_frames_are_of_different_scenes(made):
    profile, _ = made
    data = evaluations.open_nyu(profile)
    summary = summarise_nyu(data.readers["raw"], data.official)
    summary.frames["near"] = 0
    summary.frames.loc[[6, 7, 2], "near"] = [50, 60, 40]
    assert summary.most_vanishing(2) == [7, 2]


def test_checkpoint_says_what_it_saw(made):
    profile, paths = made
    run = evaluations.load_run(profile, "distill", paths)
    assert run.seen == sorted(TRAIN)
    assert run.model.network.unet is None
    assert json.dumps(run.model.info)
