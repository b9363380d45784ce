import pytest
import torch
import torch.nn.functional as F

from zdlib.config import ModelConfig, RunConfig, TrainConfig, load_profile
from zdlib.errors import ZDError
from zdlib.losses.video import Reprojection
from zdlib.models.sgdem.architecture import SGDEMArchitecture
from zdlib.models.sgdem.network import SGDEM
from zdlib.models.sgdem.training import Masking, VideoTraining
from zdlib.train.methods.sgdem import DIFFERENCES, Video

SIZE = (64, 96)
TINY = {"pose_encoder": "cnn", "decoder_channels": [16, 16, 8, 8, 8]}


def method(epochs=20, size=SIZE, **options):
    model = ModelConfig(encoder="tf_efficientnet_lite0", encoder_weights="none", input_size=size)
    train = TrainConfig(epochs=epochs, batch_size=2, lr=1e-4, clip_grad_norm=1e3)
    return Video(model, train, RunConfig(title="video", method="sgdem", options=TINY | options))


def batch(epoch=0, stills=2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    rand = lambda *shape: torch.rand(*shape, generator=generator)  # noqa: E731
    image = rand(2, 3, *SIZE)
    content = {"image": image, "before": image.roll(2, 3), "after": image.roll(-2, 3)}
    content |= {"seen": image, "seen_before": content["before"], "seen_after": content["after"]}
    content["intrinsics"] = torch.tensor([[[60.0, 0, 47.5], [0, 60, 31.5], [0, 0, 1]]]).repeat(2, 1, 1)
    content["epoch"], content["index"] = torch.full((2,), epoch), torch.arange(2)
    if stills:
        content |= {
            "still": rand(stills, 3, *SIZE),
            "labels": torch.randint(0, 19, (stills, *SIZE), generator=generator),
        }
    return content


def network(chosen, clips=6):
    torch.manual_seed(0)
    chosen._clips = clips
    return chosen.network(torch.device("cpu"))


def test_published_and_corrected_differ_in_these_fields_alone():
    assert DIFFERENCES["published"].keys() == DIFFERENCES["corrected"].keys()
    assert all(DIFFERENCES["published"][key] != value for key, value in DIFFERENCES["corrected"].items())
    one = method(variant="published", consistency="corrected")
    assert one.info()["options"]["consistency"] == "corrected"
    assert one.info()["options"]["late_factor"] == 1e-4


def test_the_first_poses_are_as_small_as_wanted():
    motions = []
    for start in (1.0, 0.01):
        chosen = method(segmentation=False, masking=False, pose_start=start)
        trained, content = network(chosen), batch(stills=0)
        with torch.no_grad():
            motions.append(torch.cat(trained.network.motion(content["before"], content["image"])))
    assert motions[0].abs().max() > 0.01
    torch.testing.assert_close(motions[1], 0.01 * motions[0])


def test_coarse_scales_are_compared_at_their_size_if_wanted():
    losses = []
    for own_scale in (False, True):
        chosen = method(segmentation=False, masking=False, own_scale=own_scale)
        losses.append(float(chosen.losses(network(chosen), batch(stills=0))["reprojection"]))
    assert losses[0] != losses[1]


@pytest.mark.parametrize(("variant", "factor"), [("published", 1e-4), ("corrected", 0.1)])
def test_the_rate_falls_at_three_quarters(variant, factor):
    chosen = method(variant=variant)
    optimizer, schedule = chosen.optimisation(network(chosen), steps=200)
    rates = []
    for _ in range(200):
        rates.append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
    assert rates[149] == pytest.approx(1e-4)
    assert rates[150] == pytest.approx(1e-4 * factor)


def test_the_share_of_masked_clips_by_epoch():
    published, corrected = (method(variant=variant).masking() for variant in ("published", "corrected"))
    assert [published.share(epoch) for epoch in range(14, 20)] == [0, 0.75, 0.5, 0.25, 0, 0]
    assert [corrected.share(epoch) for epoch in range(13, 19)] == pytest.approx([0, 0.8, 0.6, 0.4, 0.2, 0])
    assert method(masking=False).masking() is None
    assert method(segmentation=False).masking() is None


def test_an_epoch_s_threshold_is_made_from_the_agreements_of_the_one_before():
    masking = Masking(first=1, steps=4)
    torch.manual_seed(0)
    config = SGDEMArchitecture(encoder="tf_efficientnet_lite0", pose_encoder="cnn", input_size=SIZE)
    training = VideoTraining(SGDEM(config), 4, masking, Reprojection())
    assert not training._begin(0)
    assert training._begin(1)
    training.agreements[:] = torch.tensor([0.1, 0.2, 0.3, 0.4])
    training.count.fill_(4)
    training._begin(1)
    assert training.threshold == 0  # not within the epoch
    training._begin(2)
    assert training.threshold.item() == pytest.approx(0.1 + 0.75 * 0.3)
    assert training.count == 0
    names = {"agreements", "count", "epoch", "threshold"}
    assert names <= training.state_dict().keys()  # a resumed run has them


def test_all_of_the_network_learns_from_a_mixed_batch():
    chosen = method(consistency_weight=1.0)
    training = network(chosen)
    losses = chosen.losses(training, batch(epoch=16))
    assert set(losses) == {"total", "reprojection", "smoothness", "segmentation", "consistency", "masked"}
    parts = sum(losses[name] for name in ("reprojection", "smoothness", "segmentation", "consistency"))
    assert losses["total"].item() == pytest.approx(parts.item(), rel=1e-5)
    losses["total"].backward()
    for name, parameter in training.network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.any() or not parameter.requires_grad, name
    assert training.training
    assert training.count == 2


def test_consistency_counts_from_its_epoch_on(monkeypatch):
    monkeypatch.setattr("zdlib.train.methods.sgdem.consistency_loss", lambda depth, *_: 2 + 0 * depth.sum())
    chosen = method(epochs=20, masking=False, consistency_weight=0.5, consistency_from=0.5)
    training = network(chosen)
    before, after = (chosen.losses(training, batch(epoch=epoch)) for epoch in (9, 10))
    assert (before["consistency"], after["consistency"]) == (0, 2)
    assert before.keys() == after.keys()
    assert (after["total"] - before["total"]).item() == pytest.approx(0.5 * 2, rel=1e-3)


@pytest.mark.parametrize("own_scale", [False, True])
def test_what_moves_counts_nothing(own_scale):
    chosen = method(own_scale=own_scale)
    training = network(chosen)
    bias = training.network.segmentation.heads[0].bias
    bias.data[13] = 100.0  # everything is a car
    training.epoch.fill_(16)
    training.threshold.fill_(2.0)
    losses = chosen.losses(training, batch(epoch=16))
    assert losses["masked"] == 1
    assert losses["reprojection"] == 0
    training.threshold.fill_(0.0)
    losses = chosen.losses(training, batch(epoch=16))
    assert losses["masked"] == 0
    assert losses["reprojection"] > 0


def test_the_profile_s_last_arm_takes_a_masked_step_with_its_teacher():
    """It has everything that the arms before it have, at the profile's size."""
    profile = load_profile("video")
    job = profile.job("attention_1")
    chosen = Video(job.model, job.train.model_copy(update={"batch_size": 2}), job.runs["attention_1"])
    training = network(chosen)
    training.network.segmentation.heads[0].bias.data[13] = 100.0
    training.epoch.fill_(20)
    training.threshold.fill_(2.0)
    content = batch(epoch=20)
    for name, value in content.items():
        if value.ndim == 4:
            content[name] = F.interpolate(value, job.model.input_size)
    content["labels"] = F.interpolate(content["labels"][:, None].float(), job.model.input_size)[:, 0].long()
    losses = chosen.losses(training, content)
    assert (losses["masked"], losses["reprojection"]) == (1, 0)
    assert bool(training.taught)
    assert torch.isfinite(losses["total"])


def test_published_consistency_is_zero_and_corrected_is_not():
    values = {}
    for variant in ("published", "corrected"):
        chosen = method(variant=variant, consistency_weight=1.0)
        training = network(chosen)
        training.network.segmentation.heads[0].bias.data[13] = 100.0
        for head in training.network.depth.heads:
            head.bias.data.zero_()
            head.weight.data.mul_(20)
        values[variant] = chosen.losses(training, batch())["consistency"].item()
    assert values["published"] == 0
    assert values["corrected"] > 0


@pytest.mark.parametrize("form", ["published", "corrected"])
def test_the_teacher_is_copied_once_and_stays(form):
    chosen = method(patch_weight=1.0, patch_side=32, patch_form=form, masking=False)
    training = network(chosen)
    assert chosen.losses(training, batch(epoch=9))["patches"] == 0
    assert not training.taught
    losses = chosen.losses(training, batch(epoch=10))
    assert training.taught
    copy = {name: value.clone() for name, value in training.teacher.state_dict().items()}
    # By itself the same network agrees with itself nearly everywhere, so that windows change little.
    assert 0 <= losses["patches"] < (1 if form == "corrected" else 50)
    training.network.shared.conv.weight.data.mul_(1.5)
    losses = chosen.losses(training, batch(epoch=11))
    losses["total"].backward()
    assert all(torch.equal(value, copy[name]) for name, value in training.teacher.state_dict().items())
    assert not any(parameter.requires_grad for parameter in training.teacher.parameters())
    if form == "published":
        assert losses["patches"] > 0


def test_only_depth_is_monodepth2_on_this_network():
    chosen = method(segmentation=False, masking=False)
    losses = chosen.losses(network(chosen), batch(stills=0))
    assert set(losses) == {"total", "reprojection", "smoothness"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": (64, 100)}, "sgdem needs multiples of 32"),
        ({"segmentation": False, "consistency_weight": 1.0}, "set segmentation true"),
        ({"consistency": "rough"}, r"options.consistency: .*: sgdem has variant"),
    ],
)
def test_wrong_options_are_named(options, message):
    with pytest.raises(ZDError, match=message):
        method(**options)
