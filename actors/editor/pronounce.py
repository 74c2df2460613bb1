"""How script words are spoken: into ARPAbet for the aligner.

The aligner's own dictionary (CMUdict) comes first. What it lacks (names, numbers, new words) gets hibari's
pronunciation, whose alphabet is mapped here. Words of other scripts have none and are placed between neighbours.

Sources: misaki's English phoneme set (hexgrad/misaki, EN_PHONES.md); CMUdict phone set of 39 (cmudict.phones).
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

__all__ = ["Speller", "spoken_form", "to_arpabet", "tokens"]

_TABLE: Final = """
    b=B d=D f=F k=K l=L m=M n=N p=P s=S t=T v=V w=W z=Z h=HH j=Y ɡ=G ŋ=NG ɹ=R ɾ=D T=D ʔ=T
    ʃ=SH ʒ=ZH ʤ=JH ʧ=CH θ=TH ð=DH x=K A=EY I=AY O=OW Q=OW W=AW Y=OY i=IY u=UW æ=AE a=AA ɑ=AA ɒ=AA ɔ=AO
    ə=AH ᵊ=AH ɐ=AH ʌ=AH ɛ=EH ɪ=IH ᵻ=IH ʊ=UH ɜ=ER
"""
_ARPABET: Final = {pair[0]: pair[2:] for pair in _TABLE.split()}
_R_COLOURED: Final = {("ER", "R"), ("AH", "R")}
"""Two phones that one r-coloured vowel, ER, stands for."""
_EDGES: Final = re.compile(r"^[^\w]+|[^\w]+$")


def tokens(script: str) -> tuple[str, ...]:
    """Split a script into words as shown; marks that stand alone join the word before them."""
    shown: list[str] = []
    for token in unicodedata.normalize("NFC", script).split():
        if shown and not (_has_letters(token) and _has_letters(shown[-1])):
            shown[-1] += f" {token}"
        else:
            shown.append(token)
    return tuple(shown)


def _has_letters(token: str) -> bool:
    return any(char.isalnum() for char in token)


def spoken_form(token: str) -> str:
    """Return what is said of a shown word: no outer marks, straight apostrophes, lower case."""
    return _EDGES.sub("", token.replace("’", "'")).casefold()


def to_arpabet(phonemes: str) -> tuple[str, ...]:
    """Map misaki phonemes to ARPAbet; marks of stress, length and pause say nothing to the aligner."""
    phones: list[str] = []
    for char in phonemes:
        phone = _ARPABET.get(char)
        if phones and phone and (phones[-1], phone) in _R_COLOURED:
            phones[-1] = "ER"
        elif phone:
            phones.append(phone)
    return tuple(phones)


class Speller:
    """Pronounces words that the dictionary lacks. Loads a small neural network on first use: children only."""

    def __init__(self) -> None:
        from hibari.g2p import G2P  # type: ignore[import-untyped]  # noqa: PLC0415  # heavy, and seldom needed

        self._g2p = G2P()

    def phones(self, token: str) -> tuple[str, ...]:
        """Return the ARPAbet of a word as shown; empty where it is not written in Latin letters or digits."""
        word = _EDGES.sub("", token.replace("’", "'")) if token[:1] not in "$£€" else token
        if any(char.isalpha() and not unicodedata.name(char, "").startswith("LATIN") for char in word):
            return ()
        return to_arpabet(str(self._g2p(word)))
