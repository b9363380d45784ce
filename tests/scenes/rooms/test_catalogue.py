import pytest

from scenes.rooms import catalogue
from zdlib.data import classes
from zdlib.errors import ZDError

INSTALLED = (catalogue.DEFAULT_FOLDER / "Scopia.sh3f").is_file()
needs_furniture = pytest.mark.skipif(not INSTALLED, reason="Debian package sweethome3d-furniture is not installed")


def test_labels_are_nyu_names():
    assert classes.raw_ids(sorted({model.label for model in catalogue.models().values()}))


def test_no_model_serves_both_data_sets():
    by_set = {name: {m.id for m in catalogue.models().values() if m.used_in == name} for name in ("rooms_n", "rooms_i")}
    assert by_set["rooms_n"]
    assert by_set["rooms_i"]
    assert set(by_set) == {model.used_in for model in catalogue.models().values()}
    assert not by_set["rooms_n"] & by_set["rooms_i"]


def test_sizes_are_those_of_furniture():
    for model in catalogue.models().values():
        assert all(0.001 < side < 4 for side in model.size), model


def test_missing_furniture_names_the_package(monkeypatch, tmp_path):
    monkeypatch.setenv(catalogue.FURNITURE_VARIABLE, str(tmp_path))
    with pytest.raises(ZDError, match="sweethome3d-furniture"):
        catalogue.furniture_folder()


@needs_furniture
def test_sizes_and_licences_are_the_catalogue_s():
    for model in catalogue.models().values():
        entry = catalogue.entries()[model.id]
        stated = tuple(float(entry[key]) / 100 for key in ("width", "height", "depth"))
        assert model.size == pytest.approx(stated)
        assert catalogue.LICENCES[catalogue.LIBRARIES[model.id[0]]].startswith("CC")


@needs_furniture
def test_credits_name_creator_and_licence(tmp_path):
    catalogue.write_credits(tmp_path / "c.csv", {"B77": {"rooms_n"}, "03": {"rooms_n", "rooms_i"}})
    head, cc0, ccby = (tmp_path / "c.csv").read_text().splitlines()
    assert head == "model_id,name,creator,licence,library,used_in"
    assert cc0.startswith("03,Bed,")
    assert "CC0 1.0" in cc0
    assert cc0.endswith("rooms_i rooms_n")
    assert "CC BY 3.0" in ccby
