"""Phones with times -> mouth curves: a viseme for each phone, and coarticulation.

Amplitudes are in the open body's ARKit units (0..1). Coarticulation follows Cohen & Massaro (1993): each phone pulls
each unit towards its own value with a dominance that fades before and after it, and the mouth is the weighted mean.
Lips that must touch (p b m) or round pull hard and early; consonants of the tongue leave the lips to their neighbours.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from motion.features import EXPRESSIONS

# unit (both sides, where there are two) -> amount
Shape = Mapping[str, float]


class Viseme(NamedTuple):
    """A mouth shape and its dominance: how much it insists on the jaw and on the lips."""

    shape: Shape
    jaw: float = 1.0
    lips: float = 1.0


VISEMES: dict[str, Viseme] = {
    "sil": Viseme({}, 1.5, 1.2),
    "PP": Viseme({"mouthPress": 0.3, "mouthRollLower": 0.3, "mouthRollUpper": 0.25}, 5.0, 6.0),
    "FF": Viseme({"jawOpen": 0.06, "mouthRollLower": 0.6, "mouthUpperUp": 0.25}, 3.0, 5.0),
    "TH": Viseme({"jawOpen": 0.14, "mouthLowerDown": 0.15, "tongueOut": 0.4}, 1.5, 0.8),
    "DD": Viseme({"jawOpen": 0.1, "mouthLowerDown": 0.2, "mouthUpperUp": 0.12}, 1.0, 0.5),
    "kk": Viseme({"jawOpen": 0.16, "mouthStretch": 0.1}, 0.6, 0.3),
    "CH": Viseme({"jawOpen": 0.08, "mouthFunnel": 0.5, "mouthPucker": 0.15}, 2.0, 2.5),
    "SS": Viseme({"jawOpen": 0.05, "mouthStretch": 0.25, "mouthLowerDown": 0.25}, 2.0, 0.9),
    "nn": Viseme({"jawOpen": 0.1, "mouthLowerDown": 0.12}, 0.8, 0.4),
    "RR": Viseme({"jawOpen": 0.12, "mouthFunnel": 0.3, "mouthPucker": 0.15}, 0.8, 1.2),
    "aa": Viseme({"jawOpen": 0.5, "mouthLowerDown": 0.1}, 1.6, 1.2),
    "ah": Viseme({"jawOpen": 0.3, "mouthLowerDown": 0.08}, 1.0, 0.8),
    "E": Viseme({"jawOpen": 0.26, "mouthStretch": 0.25, "mouthLowerDown": 0.15}, 1.3, 1.2),
    "ih": Viseme({"jawOpen": 0.15, "mouthSmile": 0.22, "mouthStretch": 0.1, "mouthLowerDown": 0.12}, 1.2, 1.2),
    "oh": Viseme({"jawOpen": 0.35, "mouthFunnel": 0.45, "mouthPucker": 0.1}, 1.4, 2.0),
    "ou": Viseme({"jawOpen": 0.12, "mouthPucker": 0.7, "mouthFunnel": 0.2}, 1.4, 2.5),
    "schwa": Viseme({"jawOpen": 0.18}, 0.5, 0.4),
}

_SYMBOLS: dict[str, str] = {
    "PP": "pbm",
    "FF": "fvʋɱⱱ",
    "TH": "θð",
    "DD": "tdɾʈɖɗ",
    "kk": "kɡgxŋhqɣχʔɰʁɴħjʝçɟc",
    "CH": "ʃʒʧʤʂɕʑʨʥɻ",
    "SS": "szʦʣ",
    "nn": "nlɲʎɳɭɫ",
    "RR": "ɹrɽʀ",
    "aa": "aɑæɐɒA",
    "ah": "ʌɜɚɞ",
    "E": "eɛ",
    "ih": "iɪɨᵻyʏI",
    "oh": "oɔøœO",
    "ou": "uʊwɥɯɤβɸᵝ",
    "schwa": "əᵊ",
}
VISEME_OF: dict[str, str] = {symbol: name for name, symbols in _SYMBOLS.items() for symbol in symbols}
_ROUND_FRONT = set("yʏøœ")  # front vowels with round lips
_PAUSES = set(",.!?;:—…")
_BEFORE = set("ˈˌ ")  # marks that belong to the phone after them
_LONGEST = {"vowel": 0.30, "consonant": 0.18}  # seconds; what lasts longer is followed by silence
_VOWELS = set("aɑæɐɒAʌɜɚɞeɛiɪɨᵻyʏIoɔøœOuʊɯɤəᵊ")

AMPLITUDE = 0.75  # of the table: it shows clear visemes, people speak smaller
SPREAD = 0.035  # seconds: the least standard deviation of a dominance
EARLIER = {"mouthFunnel": 0.05, "mouthPucker": 0.06}  # seconds by which rounding is anticipated


class Segment(NamedTuple):
    """One viseme from `start` to `end` seconds."""

    viseme: Viseme
    start: float
    end: float


def segments(phones: Sequence[str], ends: Sequence[float]) -> list[Segment]:
    """The visemes of a phone sequence: marks joined to the phone they belong to, pauses and long tails as silence."""
    found: list[Segment] = []
    start = 0.0
    for symbol, end in zip(phones, ends, strict=True):
        if symbol in _BEFORE and symbol:
            continue  # its time goes to the next phone
        if symbol not in VISEME_OF and symbol and symbol not in _PAUSES and found:
            found[-1] = found[-1]._replace(end=float(end))  # length marks, nasalisation …
        else:
            found += _segment(symbol, start, float(end))
        start = float(end)
    return found


def _segment(symbol: str, start: float, end: float) -> list[Segment]:
    """One phone; the end of an overlong one is a pause."""
    silence = VISEMES["sil"]
    if symbol not in VISEME_OF:
        return [Segment(silence, start, end)]
    viseme = VISEMES["ou" if symbol in _ROUND_FRONT else VISEME_OF[symbol]]
    last = min(end, start + _LONGEST["vowel" if symbol in _VOWELS else "consonant"])
    return [Segment(viseme, start, last)] + ([Segment(silence, last, end)] if end - last > 0.05 else [])


def columns(unit: str) -> list[int]:
    """Places of a unit among the expressions: one, or left and right."""
    names = [unit] if unit in EXPRESSIONS else [f"{unit}Left", f"{unit}Right"]
    return [EXPRESSIONS.index(name) for name in names]


def shape_vector(shape: Shape) -> np.ndarray:
    """(52,)"""
    vector = np.zeros(len(EXPRESSIONS))
    for unit, amount in shape.items():
        vector[columns(unit)] = AMPLITUDE * amount
    return vector


def _per_unit(jaw: float, lips: float) -> np.ndarray:
    """(52,) `jaw` for the jaw's units and the tongue, `lips` for the others."""
    return np.array([jaw if name.startswith(("jaw", "tongue")) else lips for name in EXPRESSIONS])


def _anticipation() -> np.ndarray:
    """(52,) seconds."""
    early = np.zeros(len(EXPRESSIONS))
    for unit, seconds in EARLIER.items():
        early[columns(unit)] = seconds
    return early


def curves(phones: Sequence[str], ends: Sequence[float], times: np.ndarray) -> np.ndarray:
    """Expression (t, 52) at the moments `times` (t,), of phones that end at `ends` (p,), all in seconds.

    Outside the utterance the mouth rests. Units of the upper face stay 0.
    """
    parts = segments(phones, ends)
    values = np.stack([shape_vector(part.viseme.shape) for part in parts])  # p 52
    weights = np.stack([_per_unit(part.viseme.jaw, part.viseme.lips) for part in parts])
    start, end = (np.array([getattr(part, name) for part in parts]) for name in ("start", "end"))
    times = np.clip(times, start[0], end[-1])
    pull = weights * dominance(times, start, end)  # t p 52
    return np.einsum("tpu,pu->tu", pull, values) / pull.sum(1)


def dominance(times: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """(t, p, 52): 1 within a phone's middle half, a Gaussian fall before and after, wider for longer phones."""
    half = np.maximum(end - start, 1e-3) / 2
    centre = (start + end)[None, :, None] / 2 - _anticipation()
    width = np.maximum(SPREAD, 0.5 * half)[None, :, None]
    beyond = np.maximum(np.abs(times[:, None, None] - centre) - half[None, :, None] / 2, 0)
    return np.exp(-0.5 * (beyond / width) ** 2) + 1e-9
