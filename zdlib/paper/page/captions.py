"""Captions that share sentences: each shared sentence is printed once, as a note, and a letter stands in its places.

A notebook's captions must each stand alone, so fifteen of them say whose weights were judged and what ± means. On one
page that is said once.
"""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from string import ascii_lowercase

SHARED = 3  # captions that say the same make a note of it
# A sentence ends where a capital, ± or p: follows; "Bhat et al., 2023" and "0.5 m" end none.
_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z±])")


@dataclass(frozen=True)
class Notes:
    """The sentences that several captions share, in order of first use."""

    texts: tuple[str, ...] = ()

    @classmethod
    def of(cls, captions: Iterable[str], shared: int = SHARED) -> "Notes":
        """The sentences that at least `shared` captions have; what always stands together is one note."""
        sentences = [_END.split(caption) for caption in captions]
        counts = Counter(sentence for caption in sentences for sentence in dict.fromkeys(caption))
        runs: dict[str, None] = {}
        for caption in sentences:
            run: list[str] = []
            for sentence in [*caption, ""]:
                if run and counts[sentence] != counts[run[-1]]:
                    runs[" ".join(run)] = None
                    run = []
                if counts[sentence] >= shared:
                    run.append(sentence)
        return cls(tuple(runs))

    @property
    def letters(self) -> dict[str, str]:
        """The notes by letter: a to z, then aa, ab, and so on."""
        names = [*ascii_lowercase, *(a + b for a in ascii_lowercase for b in ascii_lowercase)]
        return dict(zip(names, self.texts, strict=False))

    def split(self, caption: str) -> tuple[str, list[str]]:
        """A caption without its shared sentences, and the letters of those.

        The longest notes are looked for first, so that no note is taken for a part of another.
        """
        marks = []
        for letter, text in sorted(self.letters.items(), key=lambda item: -len(item[1])):
            if text in caption:
                caption = re.sub(r"\s{2,}", " ", caption.replace(text, " ")).strip()
                marks.append(letter)
        return caption, sorted(marks, key=list(self.letters).index)
