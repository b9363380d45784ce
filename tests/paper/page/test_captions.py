"""Sentences that captions share become notes, and every caption can be put together again."""

from zdlib.paper.page.captions import Notes

WEIGHTS = "Weights (SHA-256): Zoe-Distill 0714352bfed3."
ENDS = "± is half of the 95 % interval; both its ends are in the stored table. It knows nothing of training."
CAPTIONS = [
    f"Depth on Rooms-N. {WEIGHTS} {ENDS}",
    f"Depth on Rooms-I (Bhat et al., 2023). {WEIGHTS} {ENDS}",
    f"Segmentation. {WEIGHTS} {ENDS}",
    f"Scale at 0.5 m. {WEIGHTS}",
    "Parameters.",
]


def test_shared_sentences_are_said_once() -> None:
    notes = Notes.of(CAPTIONS)
    assert notes.letters == {"a": WEIGHTS, "b": ENDS}
    assert notes.split(CAPTIONS[0]) == ("Depth on Rooms-N.", ["a", "b"])
    assert notes.split(CAPTIONS[3]) == ("Scale at 0.5 m.", ["a"])
    assert notes.split(CAPTIONS[4]) == ("Parameters.", [])


def test_nothing_of_a_caption_is_lost() -> None:
    notes = Notes.of(CAPTIONS)
    for caption in CAPTIONS:
        alone, letters = notes.split(caption)
        assert " ".join([alone, *(notes.letters[letter] for letter in letters)]) == caption


def test_what_too_few_say_is_no_note() -> None:
    assert Notes.of(CAPTIONS[:2]).texts == ()
    assert Notes.of(CAPTIONS[:2], shared=2).texts == (f"{WEIGHTS} {ENDS}",)


def test_many_notes_have_letters() -> None:
    letters = list(Notes(tuple(map(str, range(28)))).letters)
    assert letters[25:] == ["z", "aa", "ab"]
