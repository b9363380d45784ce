import numpy as np
import pytest
import torch

from zdlib.paper.bin_centres import LEVELS, spread_by_level
from zdlib.paper.trained_runs import load_run, open_nyu


@pytest.mark.slow
def test_the_spread_is_that_of_each_pixels_centres_in_metres(made):
    profile, paths = made
    run = load_run(profile, "distill", paths)
    pictures = [open_nyu(profile).readers["raw"][i].image for i in (0, 1, 2)]
    table = spread_by_level(run, pictures, batch_size=2)
    assert table["level"].tolist() == list(LEVELS)
    with torch.no_grad():
        images = torch.from_numpy(np.stack(pictures)).movedim(-1, 1) / 255
        centres = run.model.network(images).bin_centres
    finest = table.iloc[-1]
    assert finest["spread"] == pytest.approx(float(centres.std(1, correction=0).mean()), rel=1e-4)
    assert finest["lowest"] == pytest.approx(float(centres.amin(1).mean()), rel=1e-4)
    assert (table["lowest"] <= table["highest"]).all()

    run.model.convention = run.model.convention.model_copy(update={"metres_per_unit": 1000.0})
    kilometres = spread_by_level(run, pictures, batch_size=3)
    np.testing.assert_allclose(kilometres["spread"], 1000 * table["spread"], rtol=1e-4)
