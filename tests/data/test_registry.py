import inspect
from dataclasses import fields
from importlib import import_module

import ibims_files
import numpy as np
import pytest
import rgbd
import street_trees
import trees

from zdlib import config
from zdlib.data import classes
from zdlib.data.registry import READERS, Options, data_set, open_reader
from zdlib.errors import ZDError
from zdlib.metrics import protocols

TREES = trees.TREES | street_trees.TREES


def test_each_data_set_has_a_protocol_of_its_own():
    published = {name: known for name, known in READERS.items() if name not in ("folder", "rooms", "streets")}
    for name, known in published.items():
        assert protocols.get(known.protocol).dataset in (name, *known.judged_as)
        assert known.frames or name == "kitti_raw", "any list of its frames is a good one"
    judged = {name for key, known in published.items() for name in (key, *known.judged_as)}
    assert judged - {"kitti_raw"} == {name.partition("/")[0] for name in protocols.PROTOCOLS}
    assert set(published) == {"nyu", "ibims", "real-hololens", "real-mix", "real-streets", *TREES}


def test_a_profile_knows_the_keys_of_the_registry_and_each_reader_takes_its_options():
    assert set(config._SETS) == set(READERS)
    for known in READERS.values():
        module, _, name = known.reader.partition(":")
        parameters = inspect.signature(getattr(import_module(module), name)).parameters
        assert {*known.takes, *known.fixed} <= set(parameters)
        assert set(known.takes) <= {field.name for field in fields(Options)}


def test_nyu_and_ibims_open_too(tmp_path):
    path = tmp_path / "nyu_depth_v2_labeled.mat"
    rgbd.write_nyu_mat(path, [rgbd.scene()], classes.raw_names())
    for root in (path, tmp_path):
        sample = open_reader("nyu", root)[0]
        assert not sample.depth.all(), "the measured depth has holes, the in-painted one has none"
    ibims_files.write_mat(tmp_path, "office_01", ibims_files.fields())
    path.unlink()
    assert open_reader("ibims", tmp_path)[0].name == "office_01"


def test_an_unknown_name_lists_the_known_ones(tmp_path):
    for call in (lambda: data_set("sun"), lambda: open_reader("sun", tmp_path)):
        with pytest.raises(ZDError, match="sun: no such data set: choose one of nyu, ibims, sunrgbd, "):
            call()


@pytest.mark.parametrize("name", sorted(TREES))
def test_the_protocol_of_a_data_set_judges_its_samples(name, tmp_path):
    tree = TREES[name](tmp_path)
    protocol = protocols.get(READERS[name].protocol)
    if protocol.kitti_benchmark:
        metres = np.full((375, 1242), 30.0)
        trees.save_image(tree.image, 375, 1242)
        trees.save_png(tree.depth, np.rint(metres * (256 if name == "kitti" else 100)).astype(np.uint16))
    sample = protocol.view(open_reader(name, tmp_path)[0])
    prepared, valid = protocol.prepare(np.full((10, 12), 2.5, np.float32), sample)
    assert prepared.shape == valid.shape == sample.depth.shape
    assert valid.any()
    assert not valid[sample.depth == 0].any()
