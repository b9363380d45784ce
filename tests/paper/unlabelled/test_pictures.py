"""Views of pictures: their shape, and that together they show the whole of the longer side."""

import numpy as np

from zdlib.paper.unlabelled.pictures import _rendered, _street_views, views


def test_views_are_four_by_three_and_reach_both_ends() -> None:
    image = np.zeros((360, 540, 3), np.uint8)
    cut = [(rows, columns) for _, rows, columns in views(image, 2)]
    assert [(r.start, r.stop, c.start, c.stop) for r, c in cut] == [(0, 360, 0, 480), (0, 360, 60, 540)]
    ((_, rows, columns),) = views(np.zeros((400, 400, 3), np.uint8), 1)
    assert (rows.start, rows.stop, columns.stop) == (50, 350, 400)


def test_rendered_views_are_of_scenes_that_do_not_train() -> None:
    names = [name for name, _ in _rendered()]
    assert len(names) == len(set(names)) == 206 + 3 * 40
    labelled = {view.scene for _, view in _street_views("train")}
    assert len(labelled) == 112
    assert not labelled & {view.scene for part in ("val", "test") for _, view in _street_views(part)}
