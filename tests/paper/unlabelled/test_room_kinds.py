"""FastConv: the article's sizes, and that it learns what a channel says and nothing that no channel says."""

import torch

from zdlib.paper.unlabelled.room_kinds import FastConv, train_classifier


def test_the_article_s_sizes() -> None:
    network = FastConv(4, 100, side=140)
    assert network.fc1.in_features == 36_992
    assert network.conv1.weight.shape == (64, 4, 3, 3)
    assert network.eval()(torch.zeros(2, 4, 140, 140)).shape == (2, 100)


def test_it_learns_from_the_channel_that_tells_and_from_no_other() -> None:
    generator = torch.Generator().manual_seed(0)
    kinds = torch.arange(120) % 2
    noise = torch.rand(120, 1, 16, 16, generator=generator)
    telling = noise + kinds[:, None, None, None]
    test = torch.arange(120) % 3 == 0
    assert train_classifier(telling, kinds, test, seed=1, epochs=8)[-1] > 0.9
    blind = train_classifier(noise, kinds, test, seed=1, epochs=8)
    assert len(blind) == 8
    assert blind[-1] < 0.75
    assert blind == train_classifier(noise, kinds, test, seed=1, epochs=8)
