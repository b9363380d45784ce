import numpy as np
import pytest

from zdlib.data import classes
from zdlib.errors import ZDError
from zdlib.labels import N_CLASSES

FORTY_TO_13 = [12, 5, 6, 1, 4, 9, 10, 12, 13, 6, 8, 6, 13, 10, 6, 13, 6, 7, 7, 5]
FORTY_TO_13 += [7, 3, 2, 6, 11, 7, 7, 7, 7, 7, 7, 6, 7, 7, 7, 7, 7, 7, 6, 7]


def test_the_table_is_complete():
    table = classes.class_table()
    assert list(table.columns) == ["id894", "name", "id40", "name40", "id13"]
    assert list(table["id894"]) == list(range(1, 895))
    assert table["name"].is_unique
    assert set(table["id40"]) == set(range(1, 41))
    assert set(table["id13"]) == set(range(1, 14))


def test_40_to_13_is_the_published_vector():
    table = classes.class_table()
    pairs = table[["id40", "id13"]].drop_duplicates().sort_values("id40")
    assert list(pairs["id13"]) == FORTY_TO_13


def test_raw_names_per_class_are_as_counted_in_the_published_maps():
    counts = classes.class_table()["id13"].value_counts()
    assert counts[classes.CLASS_NAMES.index("objects")] == 789
    assert counts[classes.CLASS_NAMES.index("furniture")] == 89
    assert counts.sum() - 789 - 89 == 16


@pytest.mark.parametrize(
    ("raw_id", "name", "name40", "name13"),
    [
        (1, "book", "otherprop", "objects"),  # "books" is another raw name, and another class
        (4, "ceiling", "ceiling", "ceiling"),
        (5, "chair", "chair", "chair"),
        (11, "floor", "floor", "floor"),
        (21, "wall", "wall", "wall"),
        (28, "door", "door", "wall"),
        (36, "desk", "desk", "table"),
        (59, "window", "window", "window"),
        (80, "blinds", "blinds", "window"),
        (83, "sofa", "sofa", "sofa"),
        (85, "books", "books", "books"),
        (89, "curtain", "curtain", "window"),
        (143, "floor mat", "floor mat", "floor"),
        (157, "bed", "bed", "bed"),
        (172, "television", "television", "tv"),
    ],
)
def test_known_raw_ids(raw_id, name, name40, name13):
    assert classes.raw_names()[raw_id - 1] == name
    image = np.array([[raw_id]], np.uint16)
    assert classes.class_table().set_index("id894").loc[raw_id, "name40"] == name40
    assert classes.CLASS_NAMES[classes.to_13(image)[0, 0]] == name13
    assert classes.raw_ids([name]) == {name: raw_id}


def test_the_two_steps_agree_with_the_direct_map():
    every = np.arange(895, dtype=np.uint16).reshape(5, 179)
    forty = np.array([0, *classes.class_table().sort_values("id894")["id40"]])[every]
    assert np.array_equal(classes.to_13(every), np.array([0, *FORTY_TO_13], np.uint8)[forty])
    assert classes.to_13(every)[0, 0] == forty[0, 0] == 0


def test_an_id_or_a_name_outside_the_table_is_refused():
    with pytest.raises(ZDError, match=r"label 895.*894"):
        classes.to_13(np.full((2, 2), 895, np.uint16))
    with pytest.raises(ZDError, match="'sofabed'"):
        classes.raw_ids(["sofa", "sofabed"])


def test_colours_are_distinct():
    assert len({tuple(colour) for colour in classes.PALETTE.tolist()}) == N_CLASSES
    picture = classes.colourise(np.array([[0, 5]], np.uint8))
    assert picture[0, 0].tolist() == [0, 0, 0]
    assert picture[0, 1].tolist() == classes.PALETTE[5].tolist()
