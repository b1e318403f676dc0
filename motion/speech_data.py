"""Synthetic training speech whose phonemes are known to the moment: `python -m motion.speech_data MODEL VOICES OUT`.

Kokoro-82M (Apache-2.0) speaks the sentences of `speech_texts.txt` with 54 voices. Its duration predictor says how long
every phoneme lasts, so the mouth that belongs to the sound can be computed (`motion/visemes.py`). Phonemes come from
the program `espeak-ng`. Needs `onnx`, `onnxruntime` and numpy only; about 1.4 s of one core for a second of speech.

The pool is a folder of one .npz per utterance (read by `motion.data.speech_clips`):

| key | shape, type | meaning |
|---|---|---|
| samples | s int16 | the sound |
| sample_rate | int | 24000 |
| phones | p str | IPA symbols, in order, as the voice read them; "" before the first and after the last |
| ends | p float64 | the second at which each phone ends; the last equals the length of the sound |
| voice, language, text, speed | str, str, str, float | where it came from |

With MODEL the joined Kokoro ONNX file, VOICES the folder of `*.bin` styles (float32 510 x 1 x 256 each). With --blend
each utterance has a voice of its own, mixed from two or three of these, and half of them say their words in random
order: a speech encoder needs many voices and many neighbours of each sound.
"""

import argparse
import json
import random
import subprocess
from pathlib import Path
from typing import NamedTuple

import numpy as np

SAMPLE_RATE = 24_000
SAMPLES_PER_UNIT = 600  # the duration predictor counts in 25 ms
DURATIONS = "/encoder/Gather_output_0"  # the graph's own name of the duration predictor's output
MOST_PHONES = 508
LANGUAGES = {"a": "en-us", "b": "en-gb", "e": "es", "f": "fr-fr", "i": "it", "p": "pt-br", "h": "hi"}  # by voice name


class Line(NamedTuple):
    """One sentence for one voice."""

    language: str
    text: str
    voice: str
    speed: float


def sentences(path: Path) -> list[tuple[str, str]]:
    """(espeak language, text) of each line that is not a comment."""
    rows = [row for row in path.read_text(encoding="utf8").splitlines() if row and not row.startswith("#")]
    return [(language, text) for language, text in (row.split("|", 1) for row in rows)]


def voices_for(language: str, voices: list[str]) -> list[str]:
    """The voices made for a language; English is also read by those whose own language is not in the list."""
    own = [voice for voice in voices if LANGUAGES.get(voice[0]) == language]
    foreign = [voice for voice in voices if voice[0] not in LANGUAGES]
    return own + (foreign if language == "en-us" else [])


def plan(texts: list[tuple[str, str]], voices: list[str], rounds: int, seed: int) -> list[Line]:
    """Each sentence `rounds` times, by voices of its language drawn at random, at random speeds, shuffled by round."""
    chance = random.Random(seed)
    lines = []
    for _ in range(rounds):
        batch = [
            Line(*pair, chance.choice(voices_for(pair[0], voices)), round(chance.uniform(0.8, 1.3), 2))
            for pair in texts
        ]
        chance.shuffle(batch)
        lines += batch
    return lines


def blended(line: Line, other: str, voices: list[str], chance: random.Random) -> Line:
    """The line with another of its language after it, by a mixture of two or three voices, named a+b."""
    text = f"{line.text} {other}"
    if chance.random() < 0.5:
        words = text.translate(str.maketrans("", "", ".,!?;:")).split()
        chance.shuffle(words)
        text = ", ".join(" ".join(words[place : place + 6]) for place in range(0, len(words), 6)) + "."
    names = chance.sample(voices, chance.choice((2, 2, 3)))
    return line._replace(text=text, voice="+".join(names))


def style_of(voice: str, styles: dict[str, np.ndarray], chance: random.Random) -> np.ndarray:
    """The style (510, 1, 256) of a voice; of a+b a random mixture, sometimes further from the mean of all voices."""
    names = voice.split("+")
    if len(names) == 1:
        return styles[voice]
    weights = [chance.expovariate(1) for _ in names]
    far, mean = chance.choice((1.0, 1.0, 1.25)), np.mean([*styles.values()], axis=0)
    mixed = np.average([styles[name] for name in names], axis=0, weights=weights)
    return (mean + far * (mixed - mean)).astype(np.float32)


def phonemes(text: str, language: str) -> str:
    """IPA from espeak-ng, in Kokoro's spelling; a clause a line becomes a comma, so that pauses stay."""
    command = ["espeak-ng", "-q", "--ipa", "-v", language, "--stdin"]
    spoken = subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout
    clauses = [" ".join(clause.split()) for clause in spoken.splitlines() if clause.strip()]
    end = text.strip()[-1] if text.strip()[-1] in ".!?" else "."
    joined = ", ".join(clauses) + end
    for tag in ("(en)", "(hi)", "(fr)", "(it)", "(es)", "(pt)"):
        joined = joined.replace(tag, "")
    return joined.replace("ʲ", "j").replace("r", "ɹ") if language.startswith("en") else joined


def vocabulary(path: Path) -> dict[str, int]:
    """IPA symbol -> token of the model."""
    return json.loads(path.read_text(encoding="utf8"))["vocab"]


def open_model(path: Path):
    """The ONNX session with the duration predictor as a second output, on one thread."""
    import onnx  # pyright: ignore[reportMissingImports]
    import onnxruntime  # pyright: ignore[reportMissingImports]

    model = onnx.load(str(path))
    kind = onnx.TensorProto.INT64
    model.graph.output.append(onnx.helper.make_tensor_value_info(DURATIONS, kind, None))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def speak(session, line: Line, style: np.ndarray, tokens: dict[str, int]) -> dict[str, np.ndarray]:
    """One utterance as the arrays of the pool. style (510, 1, 256): one row for each length of text."""
    symbols = [c for c in phonemes(line.text, line.language) if c in tokens][:MOST_PHONES]
    ids = np.array([[0, *(tokens[c] for c in symbols), 0]], dtype=np.int64)
    feed = {"tokens": ids, "style": style[len(symbols) - 1], "speed": np.array([line.speed], dtype=np.float32)}
    sound, units = (np.asarray(output).ravel() for output in session.run(None, feed))
    ends = np.cumsum(units) * SAMPLES_PER_UNIT / SAMPLE_RATE
    return {
        "samples": np.round(sound.clip(-1, 1) * 32767).astype(np.int16),
        "sample_rate": np.array(SAMPLE_RATE),
        "phones": np.array(["", *symbols, ""]),
        "ends": ends,
        **{name: np.array(getattr(line, name)) for name in ("voice", "language", "text", "speed")},
    }


def build(model: Path, voices: Path, out: Path, rounds: int, seed: int, blend: bool = False) -> None:
    """Write every utterance that is not there yet; the first round alone has each sentence once."""
    paths = sorted(voices.glob("*.bin"))
    styles = {path.stem: np.fromfile(path, "<f4").reshape(-1, 1, 256) for path in paths}
    session, tokens = open_model(model), vocabulary(Path(__file__).with_name("speech_vocabulary.json"))
    out.mkdir(parents=True, exist_ok=True)
    texts = sentences(Path(__file__).with_name("speech_texts.txt"))
    for number, line in enumerate(plan(texts, list(styles), rounds, seed)):
        chance = random.Random(f"{seed} {number}")
        if blend:
            own = [text for language, text in texts if language == line.language]
            line = blended(line, chance.choice(own), list(styles), chance)
        path = out / f"{number:04d}-{line.voice}.npz"
        if path.exists():
            continue
        partial = path.with_suffix(".part")
        with open(partial, "wb") as file:
            np.savez(file, **speak(session, line, style_of(line.voice, styles, chance), tokens))
        partial.rename(path)
        print(path.name, line.text, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="kokoro-int8.onnx")
    parser.add_argument("voices", type=Path, help="folder of the voices' .bin files")
    parser.add_argument("out", type=Path, help="folder of the pool")
    parser.add_argument("--rounds", type=int, default=2, help="times each sentence is spoken")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--blend", action="store_true", help="a mixed voice for each utterance")
    given = parser.parse_args()
    build(given.model, given.voices, given.out, given.rounds, given.seed, given.blend)


if __name__ == "__main__":
    main()
