"""Several domains in one training: their losses, their router, their batches; and the arms of profile `domains`."""

import numpy as np
import pandas as pd
import pytest
import tiny_streets
import torch
import yaml

from zdlib.config import Profile, load_profile
from zdlib.data.streets.kitti_layout import write_kitti
from zdlib.data.streets.store import open_store
from zdlib.errors import ZDError
from zdlib.losses.zoe_distill import silog_loss
from zdlib.models.catalogue import load_depth_model
from zdlib.models.depth_model import Inference
from zdlib.paper.domains import job
from zdlib.paths import RunPaths
from zdlib.train.frames import open_frames
from zdlib.train.methods.zoe_domains import Options, describe
from zdlib.train.run import train
from zdlib.train.setup import set_up

SIZE = [32, 64]
ARMS = load_profile("domains").study.arms
STAGE_ONE = "stage_one.safetensors"


@pytest.fixture(scope="module")
def profile(tmp_path_factory):
    """Ten frames of boxes and five of streets at one size, and a network of two sorts of layers."""
    import tiny_training

    folder = tmp_path_factory.mktemp("domains")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ZD_ROOT", str(folder))
        patch.delenv("ZD_TRAIN", raising=False)
        patch.delenv("ZD_DATA", raising=False)
        rooms = tiny_training.make_profile(folder)
        store = open_store(tiny_streets.STORE)
        write_kitti(folder / "kitti", store, store.of_split("train")[: tiny_streets.CLIPS])
        roads = {"set": "kitti_raw", "root": "kitti", "list_file": "kitti/splits/train_files.txt", "size": SIZE}
        nyu = rooms.data.nyu.model_dump(mode="json")
        content = rooms.model_dump(mode="json")
        content["data"]["train"] = [nyu | {"size": SIZE}, roads]
        content["data"]["tests"] = [nyu, roads | {"size": None, "protocol": "streets/eigen"}]
        content["model"] |= {"input_size": SIZE}
        content["train"] |= {"epochs": 1, "batch_size": 4, "validations_per_epoch": 1, "validation_fraction": 0.4}
        content["runs"] = {name: run_of(arm) for name, arm in ARMS.items()}
        (folder / "profiles" / "tiny.yaml").write_text(yaml.safe_dump(content))
        yield Profile.model_validate(content)


def run_of(arm) -> dict:
    options = arm.options | {"frames": 6}
    return {"title": arm.title, "method": arm.method, "seg_weight": 0, "options": options}


def prepared(profile, name, steps=20, **options):
    run = profile.runs[name]
    run = run.model_copy(update={"options": run.options | options})
    return set_up(profile, run, open_frames(profile, run), torch.device("cpu"), steps=steps)


def a_batch(setup) -> dict[str, torch.Tensor]:
    return torch.utils.data.default_collate([setup.feed.items[i] for i in next(iter(setup.feed.order))])


@pytest.mark.parametrize("name", sorted({arm for arm in ARMS if arm.startswith(("m_nk", "x_n", "x_k"))}))
def test_every_arm_learns(profile, name):
    setup = prepared(profile, name)
    batch = a_batch(setup)
    totals = [setup.trainer.step(batch)["total"] for _ in range(6)]
    assert totals[-1] < totals[0]


def test_the_loss_is_the_mean_over_domains_and_a_fifth_of_the_routers(profile):
    setup = prepared(profile, "m_nk", loss_stride=1)
    batch, shown = a_batch(setup), []

    def network(images, **options):
        assert options["domains"] is None  # trained on the head that it chooses, as the released code does
        shown.append(setup.network(images, **options))
        return shown[0]

    losses = setup.method.losses(network, batch)
    depth, logits, domain = shown[0].metric_depth, shown[0].domain_logits, batch["domain"]
    assert sorted(domain.tolist()) == [0, 0, 1, 1]
    apart = [silog_loss(depth[domain == k], batch["depth"][domain == k], batch["mask"][domain == k]) for k in (0, 1)]
    entropy = -logits.log_softmax(1)[torch.arange(4), domain].mean()
    torch.testing.assert_close(losses["total"], sum(apart) / 2 + 0.2 * entropy)
    torch.testing.assert_close(losses["domain"], entropy)


def test_each_domain_has_its_own_range_of_valid_depth(profile):
    setup = prepared(
        profile,
        "m_nk",
        domains={"nyu": {"sets": ["nyu"], "max_depth": 3}, "kitti": {"sets": ["kitti_raw"], "max_depth": 80}},
    )
    batch = a_batch(setup)
    metres = [10 * batch["depth"][batch["domain"] == k] for k in (0, 1)]
    masks = [batch["mask"][batch["domain"] == k] for k in (0, 1)]
    assert metres[0][masks[0]].max() < 3 <= metres[0].max()
    assert metres[1][masks[1]].max() > 10


def routers_gradient(profile, name, **options) -> bool:
    setup = prepared(profile, name, **options)
    setup.method.losses(setup.network, a_batch(setup))["total"].backward()
    return any(p.grad is not None and p.grad.abs().sum() > 0 for p in setup.network.head.router.parameters())


def test_what_teaches_a_router(profile):
    """A trained one learns from labels alone; an auto one from depth; a labelled one is not there."""
    assert prepared(profile, "m_nk_labelled").network.head.router is None
    assert routers_gradient(profile, "m_nk")
    assert not routers_gradient(profile, "m_nk", domain_weight=0)
    assert routers_gradient(profile, "m_nk_auto")


def test_a_label_keeps_a_head_from_the_other_domains_frames(profile):
    setup = prepared(profile, "m_nk_labelled")
    batch = a_batch(setup)
    batch["mask"][batch["domain"] == 1] = False
    batch["mask"][batch["domain"] == 1, :, 0, :2] = True  # two pixels, so that the loss is defined
    out = setup.network(batch["image"], domains=batch["domain"])
    out.metric_depth[batch["domain"] == 0].sum().backward()
    first, second = ([p.grad for p in seed.parameters()] for seed in setup.network.head.seed_bins)
    assert all(gradient is not None and gradient.abs().sum() > 0 for gradient in first)
    assert all(gradient is None or not gradient.any() for gradient in second)


def test_a_quarter_of_the_labels_are_whole_scenes(profile):
    every, quarter = (prepared(profile, "x_n", share=share) for share in (1.0, 0.34))
    of = lambda setup: {setup.frames.reader.scenes[i] for i in setup.feed.items.parts[0].indices}  # noqa: E731
    assert of(quarter) < of(every)
    assert len(quarter.feed.order) == len(every.feed.order)  # as many steps
    chosen = quarter.feed.items.parts[0].indices.tolist()
    whole = [i for i in every.feed.items.parts[0].indices if setup_scene(every, i) in of(quarter)]
    assert chosen == whole


def setup_scene(setup, index) -> str:
    return setup.frames.reader.scenes[index]


def test_released_and_single_forms(profile):
    options = Options.model_validate(ARMS["m_nk"].options)
    released = describe(profile.model, options)
    single = describe(profile.model, options.model_copy(update={"form": "single"}))
    assert (released.n_attractors, released.bottleneck, released.rel_depth_in_output) == ((16,) * 4, 4, False)
    assert (single.n_attractors, single.bottleneck, single.rel_depth_in_output) == ((16, 8, 4, 1), 2, True)
    assert [(d.name, d.max_depth) for d in released.domains] == [("nyu", 1.0), ("kitti", 8.0)]  # of 10 m
    shared = describe(profile.model, options.model_copy(update={"heads": "shared"}))
    assert [(d.name, d.max_depth) for d in shared.domains] == [("all", 8.0)]


@pytest.fixture(scope="module")
def trained(profile):
    return train(profile, "m_nk", RunPaths("whole"))


def test_it_resumes_bit_for_bit_and_its_checkpoint_predicts_by_head_and_by_router(profile, trained, monkeypatch):
    saving = profile.model_copy(update={"train": profile.train.model_copy(update={"save_minutes": 0.0})})
    killed = saving.model_copy(update={"runs": {"run": profile.runs["m_nk"]}})
    whole = train(killed, "run", RunPaths("whole_again"))
    tiny_streets.train_until_killed(killed, "killed", step=len(whole.steps) - 1)
    resumed = train(killed, "run", RunPaths("killed"), "resume")
    assert resumed.checkpoint.read_bytes() == whole.checkpoint.read_bytes()
    pd.testing.assert_frame_equal(resumed.steps, whole.steps, check_exact=True)
    assert {"silog_nyu", "silog_kitti", "domain"} <= set(whole.steps)
    assert {"abs_rel_nyu", "abs_rel_kitti", "routed_right"} <= set(whole.validations)

    model = load_depth_model(trained.checkpoint)
    assert model.domains == ("nyu", "kitti")
    assert model.convention.metres_per_unit == 10
    picture = np.random.default_rng(0).integers(0, 256, (48, 96, 3), np.uint8)
    by_head = [model(picture, Inference(flip=False, domain=name)) for name in model.domains]
    assert not np.allclose(*by_head)
    chosen = model(picture, Inference(flip=False))
    assert any(np.array_equal(chosen, depth) for depth in by_head)


def test_a_job_scores_every_head_and_the_route(profile, trained):
    alone = job.narrowed(profile, "m_nk")
    model = load_depth_model(trained.checkpoint)
    images = job.judge_everywhere(alone, alone.runs["m_nk"], model)
    assert images["outdoor"].between(0, 1).all()
    used = np.where(images["outdoor"] > 0.5, images["abs_rel_kitti"], images["abs_rel_nyu"])
    np.testing.assert_allclose(images["abs_rel"], used)
    assert set(job.means(images)["data"]) == {"boxes", "kitti"}


def test_a_job_of_one_domain_trains_on_its_data_alone(profile):
    assert [entry.set for entry in job.narrowed(profile, "x_k").data.train] == ["kitti_raw"]
    assert [entry.set for entry in job.narrowed(profile, "x_n25").data.train] == ["nyu"]


def test_encoder_and_decoder_begin_as_relative_pre_training_left_them(profile, trained, tmp_path):
    model = profile.model.model_copy(update={"encoder_weights": str(trained.checkpoint)})
    setup = prepared(profile.model_copy(update={"model": model}), "x_k")
    before = load_depth_model(trained.checkpoint).network
    for part in ("encoder", "decoder"):
        now, then = (getattr(network, part).state_dict() for network in (setup.network, before))
        assert all(torch.equal(now[key], then[key]) for key in then)
    assert set(setup.network.head.state_dict()) != set(before.head.state_dict())


def test_a_domain_without_frames_is_named(profile):
    with pytest.raises(
        ZDError, match=r"options\.domains\.sea: no frame of ships in data\.train, which has nyu, kitti_raw"
    ):
        prepared(profile, "x_n", domains={"sea": {"sets": ["ships"]}})
