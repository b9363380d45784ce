"""Depth Anything's rows of the benchmark: both contestants compute one function, on weights that matter."""

import pytest
import torch
from tiny_depth_anything import TINY

from zdlib.bench import depth_anything
from zdlib.bench.cases import CASES, Case
from zdlib.bench.contestants import prepare
from zdlib.bench.run import _write_weights, difference
from zdlib.errors import ZDError
from zdlib.models.depth_anything import registry
from zdlib.models.encoders import dinov2

SMALL = Case("small", "depth_anything", "depth_anything_v2_s", ("transformers", "zdlib"), size=(56, 84), batch=2)


@pytest.fixture
def weights(tmp_path, monkeypatch):
    monkeypatch.setitem(registry.ARCHITECTURES, "depth_anything_v2_s", TINY)
    monkeypatch.setattr(dinov2, "TABLE_OFFSET", dinov2.TABLE_OFFSET)  # a contestant's own process changes it
    path = tmp_path / "weights.safetensors"
    assert _write_weights(SMALL, path) > 1e6
    return path


def test_transformers_and_we_give_one_depth_which_varies(weights):
    expected, found = (prepare(SMALL, name, weights)()["depth"] for name in SMALL.contestants)
    assert expected.shape == (2, 56, 84)
    assert expected.std() > 0.05 * expected.max()
    assert (expected > 0).float().mean() > 0.99
    assert difference({"depth": found.numpy()}, {"depth": expected.numpy()}) < 1e-5


def test_the_authors_table_would_not_agree(weights, monkeypatch):
    """So the tenth that is left out is what the comparison hangs on, and it is left out for it alone."""
    expected = prepare(SMALL, "transformers", weights)()["depth"]
    ours = depth_anything.forward_pass(SMALL, "zdlib", weights, torch.rand(1, 3, 56, 84))
    monkeypatch.setattr(dinov2, "TABLE_OFFSET", 0.1)
    network, _ = depth_anything.load_checkpoint(weights)
    assert ours().shape == (1, 56, 84)
    with torch.inference_mode():
        depth = network(torch.rand(2, 3, 56, 84, generator=torch.Generator().manual_seed(0))).depth[:, 0]
    assert difference({"depth": depth.numpy()}, {"depth": expected.numpy()}) > 1e-4


def test_the_cases_are_the_ones_that_the_goal_names():
    cases = [case for case in CASES.values() if case.group == "depth_anything"]
    assert [case.size for case in cases] == [(518, 686)] * 3
    assert all(case.contestants[:2] == ("transformers", "zdlib") for case in cases)
    assert all(depth_anything.is_depth_anything(case) for case in cases)
    assert not any(depth_anything.is_depth_anything(c) for c in CASES.values() if c.group != "depth_anything")


def test_another_contestant_is_refused(weights):
    with pytest.raises(ZDError, match="no contestant plain: choose transformers, zdlib"):
        prepare(SMALL, "plain", weights)
