import json

import numpy as np
import pytest
import torch
from golden.weights_recipe import fill_recipe, recipe_features
from golden_models import GOLDEN, relative_error
from tiny_models import tiny_model

from zdlib.errors import ZDError
from zdlib.models.layers.dpt import DecoderFeatures
from zdlib.models.registry import architecture
from zdlib.models.zoe.architecture import Architecture, Domain
from zdlib.models.zoe.metric_bins import MetricBins, attract
from zdlib.models.zoe.official_keys import official_keys

HEADS = json.loads((GOLDEN / "heads.json").read_text())["heads"]


def decoder_features(seed: int = 0, channels: int = 256) -> DecoderFeatures:
    rel, fine, bottleneck, *fused = (torch.from_numpy(a) for a in recipe_features(seed))
    return DecoderFeatures(rel[:, None], fine, bottleneck[:, :channels], [f[:, :channels] for f in fused])


def head_like(case: dict) -> MetricBins:
    kwargs, domains = case["kwargs"], case["bin_conf"]
    name = "zoe_nk_beit_l" if domains else "zoe_beit_l"
    if domains:
        named = [Domain(**{k: d[k] for k in ("name", "min_depth", "max_depth")}) for d in domains]
    else:
        named = [Domain(name="only", min_depth=kwargs["min_depth"], max_depth=kwargs["max_depth"])]
    config = architecture(
        name,
        domains=named,
        routing="batch",
        bin_type=kwargs["bin_centers_type"],
        attractor_type=kwargs["attractor_type"],
        attractor_kind=kwargs["attractor_kind"],
        inverse_rel_depth=kwargs.get("inverse_midas", False),
    )
    head = MetricBins(config).eval()
    state = {f"head.{key}": value for key, value in head.state_dict().items()}
    official = {theirs: state[ours] for ours, theirs in official_keys(state, config).items()}
    fill_recipe(official, 0)
    return head


@pytest.mark.parametrize("case", HEADS, ids=lambda case: case["name"])
def test_every_variant_equals_the_reference(case):
    head, golden = head_like(case), np.load(GOLDEN / "heads.npz")
    if head.router:
        wanted = case["name"].rsplit("-", 1)[1]
        bias = [1e3 if domain.name == wanted else -1e3 for domain in head.config.domains]
        head.router.classifier[2].bias.data = torch.tensor(bias)
    with torch.no_grad():
        output = head(decoder_features())
    assert relative_error(output.depth[:, 0].numpy(), golden[case["name"]]) < 1e-4
    size = tuple(output.depth.shape[2:])
    centres = torch.nn.functional.interpolate(output.centres, size=size, mode="bilinear", align_corners=True)
    assert relative_error(centres[:, ::9, ::4, ::4].numpy(), golden[f"{case['name']}/centers"]) < 1e-4


def small_head(**changes) -> MetricBins:
    torch.manual_seed(0)
    config = Architecture(encoder="none", decoder_channels=16, bin_embedding_dim=8, n_bins=32, **changes)
    return MetricBins(config)


TWO = (Domain(name="indoor"), Domain(name="outdoor", max_depth=80.0))


@pytest.mark.parametrize("bin_type", ["softplus", "normed"])
def test_splitter_doubles_the_bins_at_every_level(bin_type):
    head = small_head(head="splitter", bin_type=bin_type)
    output = head(decoder_features(channels=16))
    assert head.seed_bins[0][2].out_channels == 2
    assert output.centres.shape[1] == 32
    assert (output.centres.diff(dim=1) > 0).all()
    if bin_type == "normed":
        assert output.centres.min() > 1e-3
        assert output.centres.max() < 10


def test_naive_head_has_no_bins():
    output = small_head(head="naive")(decoder_features(channels=16))
    assert output.centres is None
    assert (output.depth > 0).all()


def test_softmax_output_stays_between_the_centres():
    output = small_head(output="softmax", bin_type="normed")(decoder_features(channels=16))
    assert output.depth.min() >= output.centres.min()
    assert output.depth.max() <= output.centres.max()


@pytest.mark.parametrize(("kind", "count"), [("mean", 1), ("sum", 2)])
def test_attraction_by_hand(kind, count):
    config = Architecture(encoder="none", attractor_kind=kind)
    centres, attractors = torch.full((1, 1, 1, 1), 1.0), torch.full((1, 2, 1, 1), 1.5)
    step = 0.5 / (1 + 300 * 0.25)
    assert attract(centres, attractors, config).item() == pytest.approx(1 + count * step)
    config = Architecture(encoder="none", attractor_kind=kind, attractor_type="exp", attractor_alpha=2.0)
    assert attract(centres, attractors, config).item() == pytest.approx(1 + count * 0.5 * np.exp(-0.5))


def test_normalised_attractors_are_a_switch():
    plain, paper = (small_head(bin_type="normed", normalise_attractors=on) for on in (False, True))
    features = decoder_features(channels=16)
    assert not torch.equal(plain(features).depth, paper(features).depth)


def test_labels_override_the_router():
    head = small_head(domains=TWO).eval()
    features = decoder_features(channels=16)
    depths = [head(features, torch.tensor(labels)).depth for labels in ([0, 0], [1, 1], [0, 1])]
    torch.testing.assert_close(depths[2][0], depths[0][0])
    torch.testing.assert_close(depths[2][1], depths[1][1])
    assert not torch.allclose(depths[0], depths[1])


def test_labelled_model_asks_for_labels():
    head = small_head(domains=TWO, router="labelled")
    assert head.router is None
    with pytest.raises(ZDError, match="domains"):
        head(decoder_features(channels=16))


def test_auto_router_learns_from_the_depth_alone():
    head = small_head(domains=TWO, router="auto")
    head(decoder_features(channels=16)).depth.mean().backward()
    assert head.router.embed.weight.grad.abs().sum() > 0
    trained = small_head(domains=TWO, router="trained")
    trained(decoder_features(channels=16)).depth.mean().backward()
    assert trained.router.embed.weight.grad is None


def test_image_routing_ignores_batch_mates_and_batch_routing_does_not():
    features = decoder_features(channels=16)
    both = [small_head(domains=TWO, routing=routing).eval() for routing in ("image", "batch")]
    for head in both:  # logits that differ between the two images
        head.router.classifier[2].weight.data *= 30
    with torch.no_grad():
        logits = both[0](features).domain_logits
        both[0].router.classifier[2].bias.data += torch.tensor([0.0, 1.0]) * (logits[:, 0] - logits[:, 1]).mean()
        both[1].load_state_dict(both[0].state_dict())
        alone = [DecoderFeatures(*(part[i : i + 1] for part in features[:3]), [f[i : i + 1] for f in features.fused])
                 for i in range(2)]  # fmt: skip
        for head in both:
            together = head(features).depth
            same = [torch.allclose(together[i], head(alone[i]).depth[0], atol=1e-5) for i in range(2)]
            assert same.count(True) == (2 if head.config.routing == "image" else 1)
        assert both[0](features).domain_logits.argmax(1).tolist() in ([0, 1], [1, 0])


@pytest.mark.parametrize("changes", [{}, {"bin_type": "normed"}, {"head": "splitter"}])
def test_the_trace_ends_with_the_centres_that_the_depth_is_made_of(changes):
    torch.manual_seed(0)
    model = tiny_model("swinv2_test_window4_64", **changes)
    images = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        centres = model.head.trace(model.decoder(model.levels(images)))
        torch.testing.assert_close(centres[-1], model(images).bin_centres)
    assert [tuple(level.shape[2:]) for level in centres] == [(2, 2), (4, 4), (8, 8), (16, 16), (32, 32)]
