import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tiny_training
import torch

import zdlib
from zdlib.errors import ZDError
from zdlib.models.factory import build_model
from zdlib.models.zoe.network import ZoeDepth
from zdlib.paths import RunPaths
from zdlib.train.run import train
from zdlib.train.step import Trainer, deterministic_algorithms, freeze_unreached


@pytest.fixture
def profile(tmp_path, monkeypatch):
    monkeypatch.setattr(RunPaths, "results", property(lambda self: tmp_path / self.profile))
    return tiny_training.make_profile(tmp_path, epochs=1)


def changed(profile, **train_settings):
    return profile.model_copy(update={"train": profile.train.model_copy(update=train_settings)})


def test_the_loss_of_accumulated_parts_is_their_mean(profile, monkeypatch):
    whole, seen = Trainer.step, []

    def spy(self, batch):
        alone = [self._losses({key: value[i : i + 1] for key, value in batch.items()})["silog"] for i in range(3)]
        parts = whole(self, batch)
        seen.append((torch.stack(alone).mean().item(), parts["silog"]))
        return parts

    monkeypatch.setattr(Trainer, "step", spy)
    model = profile.model.model_copy(update={"encoder": "convnext_atto"})  # no statistics of a batch anywhere
    train(changed(profile, accumulate=3).model_copy(update={"model": model}), "control")
    assert len(seen) == 2
    for expected, found in seen:
        assert found == pytest.approx(expected, rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("setting", ["checkpoint_activations", "deterministic"])
def test_on_a_cpu_these_settings_change_no_number(profile, setting):
    expected = train(profile, "distill").steps
    assert train(changed(profile, **{setting: True}), "distill").steps.equals(expected)


# In a process without the checks of shapes, which no compiler can look into.
COMPILED = """
import tiny_models
import torch
from tiny_models import ENCODERS, tiny_model

torch.set_num_threads(1)
tiny_models.DEPTHS = (2, 1, 1, 1)  # windows still and shifted, and a step between all stages: tracing takes long
model = tiny_model(ENCODERS[2], decoder_channels=16, bin_embedding_dim=8, n_bins=8).train()
images = torch.rand(2, 3, 64, 64)
for module in model.modules():
    if hasattr(module, "drop_prob"):
        module.drop_prob = 0.0  # each backend draws its own

def step(network):
    model.zero_grad()
    loss = network(images).metric_depth.square().mean()
    loss.backward()
    return loss.item(), torch.nn.utils.get_total_norm([p.grad for p in model.parameters() if p.grad is not None]).item()

expected = step(model)
names = list(model.state_dict())
network = torch.compile(model, backend="aot_eager", fullgraph=True, dynamic=False)
for found, value in zip(step(network), expected, strict=True):
    assert abs(found / value - 1) < 1e-4, (found, value)
assert list(model.state_dict()) == names

for encoder in ENCODERS:
    model = tiny_model(encoder).eval().double()  # in float32 the smallest temperatures are coarse
    with torch.inference_mode():
        expected = model(images.double()).metric_depth
        torch._dynamo.reset()
        network = torch.compile(model, backend="aot_eager", fullgraph=True, dynamic=False)
        found = network(images.double()).metric_depth
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)
"""


@pytest.mark.slow
def test_a_compiled_step_and_prediction_are_one_graph_each_and_the_same():
    folders = [Path(zdlib.__file__).parents[1], Path(__file__).parents[1]]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, folders))}
    done = subprocess.run([sys.executable, "-c", COMPILED], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.slow
def test_training_compiles_if_asked(profile, monkeypatch):
    seen = []
    monkeypatch.setattr(torch, "compile", lambda model, **options: seen.append((model, options)) or model)
    train(profile, "control")
    assert not seen
    train(changed(profile, compile=True), "control")
    ((model, options),) = seen
    assert isinstance(model, ZoeDepth)
    assert options == {"dynamic": False}


def switches() -> tuple[bool, bool]:
    return torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark


def test_deterministic_algorithms_are_for_the_training_alone(monkeypatch):
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", True)
    with deterministic_algorithms(False):
        assert switches() == (False, True)
    with deterministic_algorithms(True):
        assert switches() == (True, False)
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    assert switches() == (False, True)
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":16:8")
    with deterministic_algorithms(True):
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":16:8"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu_two_runs_are_bitwise_equal(profile):
    runs = [train(changed(profile, deterministic=True), "distill", start="fresh").steps for _ in range(2)]
    assert runs[0].equals(runs[1])


def test_half_precision_with_a_scaler_trains(profile):
    steps = train(changed(profile, precision="fp16"), "control").steps
    assert np.isfinite(steps["total"]).all()


def test_a_gradient_that_is_not_finite_stops_before_the_weights_move(profile, monkeypatch):
    seen = {}

    def poisoned(self, batch):
        parameter = next(p for p in self.model.head.parameters() if p.requires_grad)
        parameter.register_hook(lambda gradient: gradient * float("inf"))
        seen["model"], seen["before"] = self.model, parameter.detach().clone()
        seen["parameter"] = parameter
        return whole(self, batch)

    whole = Trainer.step
    monkeypatch.setattr(Trainer, "step", poisoned)
    with pytest.raises(ZDError, match=r"nyu\.mat: the gradient is not finite on frames \d, \d, \d: inspect them"):
        train(profile, "control")
    assert torch.equal(seen["parameter"], seen["before"])


def test_parameters_without_a_gradient_are_found_and_nothing_else_moves(profile):
    model = build_model(profile.model, segmentation=True)
    images = torch.rand(2, 3, 64, 64)

    def probe(network):
        out = network(images, segmentation=True)
        return out.metric_depth.sum() + out.segmentation.sum()

    state = {name: value.clone() for name, value in model.state_dict().items()}
    modes, generator = [module.training for module in model.modules()], torch.get_rng_state()
    names = freeze_unreached(model, probe)
    assert names
    assert all(name.startswith(("decoder.", "encoder.")) for name in names)
    assert [module.training for module in model.modules()] == modes
    assert torch.equal(torch.get_rng_state(), generator)
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    probe(model).backward()
    assert {name for name, p in model.named_parameters() if p.grad is None} == set(names)
