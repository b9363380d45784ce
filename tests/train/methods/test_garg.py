import json

import numpy as np
import pytest
import self_supervised as fixtures
import stereo_scenes
import torch
from torch.utils.data import default_collate

from zdlib.config import ModelConfig, RunConfig, TrainConfig
from zdlib.errors import ZDError
from zdlib.train.methods.garg import Garg
from zdlib.train.step import make_trainer

RATES = json.loads((fixtures.FIXTURES / "garg_cases.json").read_text())["learning_rate"]
READER = stereo_scenes.Pairs(6, 64, 160)
SIZE = (64, 160)


def method(encoder="garg", epochs=12, size=SIZE, lr=0.01, batch_size=4, **options):
    options = {"level_epochs": [2, 2, 2, 2, 2, 2], "width": 0.05} | options
    model = ModelConfig(encoder=encoder, encoder_weights="none", input_size=size)
    train = TrainConfig(epochs=epochs, batch_size=batch_size, lr=lr, weight_decay=5e-4, clip_grad_norm=1e9)
    return Garg(model, train, RunConfig(title="pairs", method="garg", options=options))


def frames():
    return stereo_scenes.run_frames(READER, [0, 1, 2, 3], [4, 5])


def ready(chosen):
    torch.manual_seed(1)
    feed = chosen.feed(frames(), torch.Generator().manual_seed(0))
    return feed, chosen.network(torch.device("cpu"))


def test_the_rate_is_the_closed_form():
    article = method(epochs=100, level_epochs=[100], reduction="mean")
    for case in RATES:
        assert 0.01 * article.rate(case["epoch"]) == pytest.approx(case["lr"], rel=1e-10)


def test_levels_follow_each_other_and_their_epochs_count_from_one():
    chosen = method(epochs=7, level_epochs=[3, 0, 2], augmented_epochs=2)
    assert [chosen.level(epoch) for epoch in range(1, 8)] == [(0, 1), (0, 2), (0, 3), (2, 1), (2, 2), (2, 3), (2, 4)]
    mean = method(epochs=7, level_epochs=[3, 0, 2], augmented_epochs=2, reduction="mean")
    sizes = chosen._sizes
    share = sizes[0][0] * sizes[0][1] / (sizes[2][0] * sizes[2][1])
    assert chosen.rate(4) == pytest.approx(mean.rate(4) * share)


def test_the_epoch_decides_the_level_of_a_batch():
    chosen = method()
    feed, network = ready(chosen)
    for epoch, level in ((1, 0), (4, 1), (12, 5)):
        feed.items.set_epoch(epoch)
        batch = default_collate([feed.items[i] for i in range(2)])
        chosen.losses(network, batch)
        assert int(network.level) == level


@pytest.mark.parametrize("objective", ["article", "tv_l1"])
@pytest.mark.parametrize("derivative", ["exact", "linearised", "authors"])
def test_all_forms_have_a_gradient(objective, derivative):
    chosen = method(objective=objective, derivative=derivative)
    feed, network = ready(chosen)
    torch.nn.init.normal_(network.c7.weight, std=0.01)
    feed.items.set_epoch(12)
    losses = chosen.losses(network, default_collate([feed.items[i] for i in range(2)]))
    assert set(losses) == {"total", "photometric", "smoothness"}
    losses["total"].backward()
    assert network.stem.c1.weight.grad.any()


def test_the_loss_of_monodepth_teaches_every_level_at_once():
    options = {"objective": "monodepth", "reduction": "mean", "smoothness_weight": 0.1}
    # SSIM needs two pixels and more at the coarsest level.
    chosen = method(level_epochs=[0, 0, 0, 0, 0, 12], size=(128, 160), **options)
    feed, network = ready(chosen)
    torch.nn.init.normal_(network.c7.weight, std=0.01)
    losses = chosen.losses(network, default_collate([feed.items[i] for i in range(2)]))
    assert losses["total"] == losses["photometric"] + 0.1 * losses["smoothness"]
    losses["total"].backward()
    assert network.stem.c1.weight.grad.any()
    assert all(skip.weight.grad.any() for skip in network.skips)


def test_monodepth_s_loss_is_least_at_the_true_disparity():
    chosen = method(objective="monodepth", reduction="mean", smoothness_weight=0.1)
    pair = READER.pair(0)
    left, right = (torch.from_numpy(image.transpose(2, 0, 1).copy())[None] / 255 for image in (pair.left, pair.right))
    true = torch.from_numpy(pair.disparity)[None, None]
    errors = [float(chosen._monodepth([share * true], left, right)["photometric"]) for share in (0.0, 0.8, 1.0, 1.2)]
    assert min(errors) == errors[2]


def test_exact_and_linearised_gradients_are_the_same_about_the_present_disparity():
    gradients = {}
    for derivative, about in (("exact", "present"), ("linearised", "present"), ("linearised", "coarser")):
        chosen = method(derivative=derivative, about=about)
        feed, network = ready(chosen)
        for part, std in ((network.c7, 0.05), (network.skips[1], 0.5)):
            torch.nn.init.normal_(part.weight, std=std)
        feed.items.set_epoch(6)  # L9, whose skip moves it away from L8
        chosen.losses(network, default_collate([feed.items[i] for i in range(4)]))["total"].backward()
        gradients[derivative, about] = network.stem.c1.weight.grad
    exact, present, coarser = gradients.values()
    assert torch.allclose(exact, present, rtol=1e-4, atol=1e-5 * float(exact.abs().max()))
    assert (coarser - exact).norm() > 0.01 * exact.norm()


@pytest.mark.parametrize("optimiser", ["sgd", "adam"])
def test_levels_not_reached_yet_stay_as_they_are(optimiser):
    chosen = method(optimiser=optimiser)
    feed, network = ready(chosen)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    trainer = make_trainer(
        chosen, network, chosen._train, steps=12, device=torch.device("cpu"), source=stereo_scenes.Path("x")
    )
    feed.items.set_epoch(1)
    trainer.step(default_collate([feed.items[i] for i in range(2)]))
    after = network.state_dict()
    assert not torch.equal(after["c7.weight"], before["c7.weight"])
    for name in before:
        if name.startswith(("skips", "doublings")):
            assert torch.equal(after[name], before[name])


def test_it_learns_disparity_level_by_level_without_seeing_depth():
    """On held-out pairs, by the photometric error alone; far better than a constant at L9."""
    chosen = method(optimiser="adam", reduction="mean", lr=2e-3, epochs=180, level_epochs=[60, 60, 60])
    feed, network = ready(chosen)
    items, selection, device = feed.items, chosen.selection_set(frames()), torch.device("cpu")
    trainer = make_trainer(chosen, network, chosen._train, steps=180, device=device, source=stereo_scenes.Path("x"))
    scores = [chosen.validate(network, selection, device)]
    for epoch in range(1, 181):
        items.set_epoch(epoch)
        trainer.step(default_collate([items[i] for i in range(4)]))
        if epoch % 60 == 0:
            scores.append(chosen.validate(network, selection, device))
    disparities = np.stack([pair.disparity for pair in READER.pairs[4:]])
    constant = np.abs(disparities - np.median(disparities)).mean()
    assert [score["level"] for score in scores] == [0, 0, 1, 2]
    for name in ("photometric", "abs_rel", "disparity_error"):
        values = [score[name] for score in scores]
        assert values == sorted(values, reverse=True)
    assert scores[-1]["disparity_error"] < 0.75 * constant
    assert scores[-1]["photometric"] < 0.2 * scores[0]["photometric"]


def test_the_snippet_stays_where_it_is():
    chosen = method(encoder="garg_snippet", size=(188, 620))
    feed, network = ready(chosen)
    feed.items.set_epoch(12)
    losses = chosen.losses(network, default_collate([feed.items[0]]))
    losses["total"].backward()
    assert not any(p.grad is not None and p.grad.any() for p in network.stem.parameters())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"level_epochs": [3, 3]}, r"add up to 6, train.epochs is 12: make them equal"),
        ({"derivative": "rough"}, r"options.derivative: .*: garg has level_epochs"),
        ({"encoder": "resnet18"}, r"'resnet18': garg has garg, garg_resnet50_half, garg_light, garg_snippet"),
    ],
)
def test_wrong_options_are_named(options, message):
    with pytest.raises(ZDError, match=message):
        method(**options)


def test_a_checkpoint_predicts_what_validation_saw(tmp_path):
    from zdlib.models.depth_model import Inference
    from zdlib.models.garg.checkpoints import load_depth_model

    chosen = method()
    _, network = ready(chosen)
    network.c7.bias.data.fill_(0.3)
    network.level.fill_(3)
    info = {**chosen.info(), "convention": chosen.depth_model(network).convention.model_dump()}
    chosen.save(tmp_path / "weights.safetensors", network, info)
    model = load_depth_model(tmp_path / "weights.safetensors")
    pair = READER.pair(4)
    (depth,) = model.predict([pair.left], Inference(flip=False, full_size=True))
    selection = chosen.selection_set(frames())
    expected = []
    chosen.validate(network, selection, torch.device("cpu"), lambda *a: expected.append(a[3]))
    assert np.median(np.abs(depth / expected[0] - 1)) < 1e-3
    again = method().network(torch.device("cpu"))
    chosen.start_from(again, tmp_path / "weights.safetensors")
    assert torch.equal(again.c7.bias, network.c7.bias)


def test_a_short_level_s_rate_falls_as_far_as_a_hundred_epochs():
    chosen = method(epochs=15, level_epochs=[5, 0, 6], augmented_epochs=4, reduction="mean", stretch=True)
    article = method(epochs=100, level_epochs=[100], reduction="mean")
    assert chosen.rate(1) == chosen.rate(6) == 1
    assert chosen.rate(5) == article.rate(81)  # the last of five
    assert chosen.rate(15) == article.rate(91)  # the last of ten, augmented ones among them
    assert article.rate(91) < 0.03


def test_told_the_disparity_the_loss_is_its_error_in_pixels_of_the_level():
    chosen = method(objective="supervised", smoothness_weight=0.0, reduction="mean")
    feed, network = ready(chosen)
    feed.items.set_epoch(3)
    batch = default_collate([feed.items[i] for i in range(2)])
    true = batch["disparity"]
    assert (true > 0).float().mean() > 0.5
    losses = chosen.losses(network, batch)
    width = chosen._sizes[1][1]
    assert set(losses) == {"total", "disparity", "smoothness"}
    assert losses["total"].item() == pytest.approx(float(true[true > 0].mean()) * width, rel=0.15)  # it predicts 0
    losses["total"].backward()
    assert network.c7.weight.grad.any()


def test_told_or_augmented_but_not_both():
    with pytest.raises(ZDError, match="no true disparity"):
        method(objective="supervised", augmented_throughout=True)


def test_levels_of_monodepth_are_means():
    with pytest.raises(ZDError, match="set reduction mean"):
        method(objective="monodepth")


def test_every_epoch_is_augmented_if_it_shall():
    feed, _ = ready(method(augmented_throughout=True))
    plain, _ = ready(method())
    assert not torch.equal(feed.items[0]["image"], plain.items[0]["image"])


def test_only_the_light_network_begins_with_weights():
    model = ModelConfig(encoder="garg", encoder_weights="packaged", input_size=SIZE)
    train = TrainConfig(epochs=12, batch_size=4)
    options = {"level_epochs": [2, 2, 2, 2, 2, 2]}
    with pytest.raises(ZDError, match="only garg_light"):
        Garg(model, train, RunConfig(title="pairs", method="garg", options=options))


def test_the_light_network_begins_with_packaged_weights_and_zero_disparity():
    model = ModelConfig(encoder="garg_light", encoder_weights="packaged", input_size=SIZE)
    options = {"level_epochs": [2, 2, 2, 2, 2, 2]}
    chosen = Garg(model, TrainConfig(epochs=12), RunConfig(title="pairs", method="garg", options=options))
    _, network = ready(chosen)
    first = network.stem.model.conv_stem.weight.clone()
    _, again = ready(method(encoder="garg_light", width=1.0))
    assert not torch.equal(first, again.stem.model.conv_stem.weight)  # drawn
    assert all(not output.any() for output in network(torch.rand(1, 3, *SIZE), level=5))
    assert chosen._sizes == [(2, 5), (4, 10), (8, 20), (16, 40), (32, 80), (64, 160)]
