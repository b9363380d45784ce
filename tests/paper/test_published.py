import pandas as pd
import pytest

from zdlib.metrics import protocols
from zdlib.metrics.depth import HIGHER_IS_BETTER, METRICS
from zdlib.paper import published


def test_every_row_has_a_source_and_a_number():
    table = published.table()
    assert table[["dataset", "study", "method", "source"]].notna().all(axis=None)
    numbers = table.select_dtypes("number").drop(columns="printed_mri")
    assert table.loc[numbers.isna().all(axis=1), "method"].tolist() == ["SharpNet"], "which the source prints without"
    assert not table.duplicated(["dataset", "protocol", "study", "method"]).any()
    assert (numbers.isna() | (numbers > 0)).all(axis=None)
    assert (table[list(HIGHER_IS_BETTER)].max() < 1).all()


def test_result_rows_name_known_protocols():
    table = published.table()
    assert set(table.loc[table["study"] == "results", "protocol"]) <= set(protocols.PROTOCOLS)


@pytest.mark.parametrize(
    ("dataset", "method", "expected"),
    [
        ("nyu", "ZoeD S2-B", {"delta1": 0.927, "abs_rel": 0.090, "rmse": 0.313, "log10": 0.038, "params_m": 102}),
        ("nyu", "Zoe-Distill (notebook)", {"delta1": 0.9801563, "rmse": 0.2022, "silog": 4.3672739}),
        ("ibims", "Zoe-Distill (README)", {"delta1": 0.669, "delta2": 0.924, "abs_rel": 0.182, "rmse": 0.922}),
        ("ibims", "ZoeD-M12-N", {"delta1": 0.658, "delta3": 0.985, "log10": 0.083}),
    ],
)
def test_spot_values(dataset, method, expected):
    row = published.load(dataset).set_index("method").loc[method]
    assert row[list(expected)].to_dict() == expected


def test_counts():
    assert len(published.load("nyu")) == 14
    assert len(published.load("ibims")) == 9
    assert len(published.load("any", "parameters")) == 20
    assert len(published.load("ibims", "geometry")) == 4


def test_empty_columns_are_left_out():
    parameters = published.load("any", "parameters")
    assert not set(METRICS) & set(parameters)
    assert isinstance(parameters, pd.DataFrame)


def test_nothing_quoted():
    with pytest.raises(KeyError, match="kitti, results"):
        published.load("kitti")


def test_table_2_prints_what_its_errors_say():
    table = published.one_network().set_index("method")
    assert list(table.columns) == ["nyu", "kitti", "ibims", "vkitti2", "mRID", "mRID, printed", "source"]
    assert len(table) == 10
    difference = (table["mRID"] - table["mRID, printed"]).abs()
    assert difference.max() < 0.0501, difference


@pytest.mark.parametrize("dataset", ["vkitti2", "ddad", "diml_outdoor", "diode_outdoor"])
def test_table_4_prints_what_its_metrics_say(dataset):
    table = published.zero_shot_outdoors(dataset).set_index("method")
    assert len(table) == 7
    difference = (table["mRIθ"] - table["mRIθ, printed"]).abs()
    assert difference.max() < 0.0501, difference
