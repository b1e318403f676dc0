"""Training clips of the motion network (`motion.clips`): people talking on video, and synthetic voices."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from motion import speech_data
from motion.clips import save_clip
from render.track import fit_clip
from vlogger.body.smplx import Body
from vlogger.curation.pairs import clip_frames, landmarks_of, shape_from
from vlogger.errors import UserError
from vlogger.io_audio import load_audio

WORST = 0.1  # mean distance of the landmarks over the distance of the eyes: what is tracked worse is left out


@dataclass(frozen=True)
class TrackedSpeech:
    """`curate dataset=speech`: every clip (.mp4) in `data`, of one speaker, with its sound and its tracked motion."""

    data: str
    out: str
    body: Body
    landmarks: str | None = None  # an .npz of landmarks (t, 478, 3) that were found before, by the clip's name
    see: object = None
    draw: object = None

    def __call__(self) -> None:
        paths, out = sorted(Path(self.data).glob("*.mp4")), Path(self.out)
        if not paths:
            raise UserError(f"no clips (*.mp4) in '{self.data}': give data=FOLDER that holds clips of one speaker")
        out.mkdir(parents=True, exist_ok=True)
        known, betas = np.load(self.landmarks) if self.landmarks else {}, None
        for path in tqdm(paths, desc="track"):
            frames, rate = clip_frames(path)
            landmarks = known[path.stem] if path.stem in known else landmarks_of(frames)
            if not np.isfinite(landmarks).any():
                continue
            betas = shape_from(landmarks, frames, self.body) if betas is None else betas
            size = (frames.shape[-2], frames.shape[-1])
            track = fit_clip(landmarks, size, self.body, rate, betas)
            if float(track.error.nanmean()) < WORST:
                save_clip(out / f"{path.stem}.npz", load_audio(path), track.motion)


@dataclass(frozen=True)
class SpokenSpeech:
    """`curate dataset=spoken`: the sentences of `motion.speech_data` by Kokoro's voices; `data` is the ONNX model."""

    data: str
    voices: str
    out: str
    rounds: int
    seed: int
    body: Body
    see: object = None
    draw: object = None

    def __call__(self) -> None:
        speech_data.build(Path(self.data), Path(self.voices), Path(self.out), self.rounds, self.seed)
