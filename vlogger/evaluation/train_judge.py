"""Train the lip judge: `python -m vlogger.evaluation.train_judge data=FOLDER out=judge.safetensors`.

data: talking clips (.mp4), at any depth; features=log-mel, or a folder or hub id of a Whisper model (layers=3,5);
landmarks=FILE.npz: points (t, 478, 3) by the clip's name, found before; penalty=0.1. The last tenth of the clips only
tests.
"""

import sys
from pathlib import Path

import numpy as np
from tqdm import tqdm

from vlogger.errors import UserError
from vlogger.evaluation.faces import follow, mouth_curves
from vlogger.evaluation.judge import STEPS, Ridge, agreement, curves_of, save_judge, standardised, windows
from vlogger.evaluation.speech_features import LogMel, SpeechFeatures, Whisper
from vlogger.io_audio import load_audio
from vlogger.io_video import load_video

DEFAULTS = {
    "data": "",
    "out": "",
    "features": "log-mel",
    "layers": "3,5",
    "landmarks": "",
    "penalty": "0.1",
    "about": "",
}


def main() -> None:
    given = {name: value for name, _, value in (argument.partition("=") for argument in sys.argv[1:])}
    try:
        if not {"data", "out"} <= set(given) or not set(given) <= set(DEFAULTS):
            raise UserError(str(__doc__).strip().splitlines()[0])
        train(**{**DEFAULTS, **given})
    except UserError as error:
        raise SystemExit(f"vlogger.evaluation.train_judge: {error}") from None


def train(data: str, out: str, features: str, layers: str, landmarks: str, penalty: str, about: str) -> None:
    """Sums over the clips, one solve, and the r of the clips that were kept apart."""
    heard_by: SpeechFeatures = LogMel()
    if features != "log-mel":
        heard_by = Whisper(features, tuple(int(layer) for layer in layers.split(",")))
    paths = sorted(Path(data).glob("**/*.mp4"))
    if not paths:
        raise UserError(f"no clips (*.mp4) in '{data}': give data=FOLDER that holds talking clips")
    known = np.load(landmarks) if landmarks else {}
    tests, ridge = [], None
    for index, path in enumerate(tqdm(paths, desc="hear")):
        seen, fps = curves(path, known)
        audio, target = load_audio(path), curves_of(seen)
        if index % 10 == 9 or len(paths) == 1:
            tests.append((audio, seen, fps))
        elif target is not None:
            heard = windows(heard_by(audio), heard_by.rate, len(target), fps)
            ridge = ridge or Ridge.empty(heard.shape[1])
            ridge.add(heard, standardised(target))
    if ridge is None:
        raise UserError(f"no face can be followed in the clips of '{data}'")
    judge = ridge.solved(heard_by, float(penalty))
    save_judge(Path(out), judge, about or Path(data).name)
    print(f"{ridge.count} frames, {ridge.gram.shape[0]} = {STEPS} x {ridge.gram.shape[0] // STEPS} inputs;", end=" ")
    print("clips kept apart:", {name: round(r, 3) for name, r in agreement(judge, tests).items()})


def curves(path: Path, known) -> tuple[dict[str, np.ndarray], float]:
    """Mouth curves of a clip and its frames per second."""
    clips = list(load_video(path)) if path.stem not in known else [next(load_video(path))]
    fps = clips[0].fps
    if path.stem in known:
        return mouth_curves(known[path.stem]), fps
    frames = np.concatenate([clip.frames.permute(0, 2, 3, 1).numpy() for clip in clips])
    return mouth_curves(follow(frames)), fps


if __name__ == "__main__":
    main()
