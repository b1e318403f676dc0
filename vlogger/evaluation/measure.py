"""What is measured of one finished video, beside the true one where it is known: numbers and arrays of a row."""

import numpy as np
import torch
from numpy.typing import NDArray

from vlogger.evaluation import identity, lips, quality, syncnet
from vlogger.evaluation.bench import Bench
from vlogger.evaluation.faces import found_share, lid_opening, mouth_curves, points_of_motion
from vlogger.evaluation.films import Film, some
from vlogger.evaluation.judge import CURVES
from vlogger.evaluation.liveliness import blink_statistics, head_speed, motion_statistics
from vlogger.evaluation.silence import silence_of, speech_by_level, speech_by_vad
from vlogger.types import Audio, Motion, Subject

LOOKED_AT = 6  # frames of a clip that are judged one by one (quality, identity, distances)

Numbers = dict[str, float]
Arrays = dict[str, NDArray]


def measured(bench: Bench, film: Film, who: str, audio: Audio | None, reference: Film | None) -> tuple[Numbers, Arrays]:
    """Everything that a video says by itself and with its sound; names begin with `who` ("made", "true")."""
    numbers: Numbers = {"face_found": found_share(film.points)}
    arrays: Arrays = {}
    numbers |= looks(bench, film)
    if features := backbone_features(bench, film):
        arrays |= features
    if reference is not None:
        numbers |= likeness(bench, film, reference)
    if film.has_face:
        found, more = liveliness(bench, film)
        numbers, arrays = numbers | found, arrays | more | mouth_curves(film.points)
        if audio is not None:
            found, more = with_sound(bench, film, audio)
            numbers, arrays = numbers | found, arrays | more
    return prefixed(numbers, who), prefixed(arrays, who)


def prefixed(values: dict, who: str) -> dict:
    return {f"{who}.{name}": value for name, value in values.items()}


def looks(bench: Bench, film: Film) -> Numbers:
    """Quality without a reference."""
    frames, pristine = some(film.frames, LOOKED_AT), bench.judges.pristine
    return {"cpbd": quality.sharpness(frames)} | ({"niqe": quality.niqe(frames, pristine)} if pristine else {})


@torch.inference_mode()
def backbone_features(bench: Bench, film: Film) -> Arrays:
    """What the Fréchet distances are computed from."""
    judges, frames, found = bench.judges, some(film.frames, LOOKED_AT), {}
    if judges.mobilenet is not None:
        found["mobilenet"] = judges.mobilenet.pooled(frames.float() / 255).numpy()
    if judges.inception is not None:
        found["fid"] = judges.inception(frames)
    if judges.i3d is not None:
        found["fvd"] = judges.i3d(film.frames)
    return found


def likeness(bench: Bench, film: Film, reference: Film) -> Numbers:
    """Identity distance and cosine to the reference."""
    network = bench.judges.embedding
    if network is None or not found_share(reference.points):
        return {}
    at = np.linspace(0, len(film.frames) - 1, min(LOOKED_AT, len(film.frames))).round().astype(int)
    found = identity.embeddings(network, film.frames[torch.from_numpy(at)], film.points[at])
    target = identity.embeddings(network, reference.frames[:1], reference.points[:1])
    return identity.compared(found, target[0]) if len(target) else {}


def liveliness(bench: Bench, film: Film) -> tuple[Numbers, Arrays]:
    """Motion as it is tracked in the video; the track's expressions and head speeds."""
    track = film.track(bench.vlogger.body)
    numbers = motion_statistics(track.motion, bench.vlogger.body, hands=False)
    numbers |= blink_statistics(lid_opening(film.points), film.fps)
    arrays = {
        "expression": track.motion.expression.numpy(),
        "head_speed": head_speed(track.motion).numpy(),
        "betas": track.betas.numpy(),
    }
    return numbers, arrays


def with_sound(bench: Bench, film: Film, audio: Audio) -> tuple[Numbers, Arrays]:
    """Agreement of the lips with the sound: judge, SyncNet, silence."""
    judges, seen, count = bench.judges, mouth_curves(film.points), len(film.frames)
    said = judges.lips(audio, count, film.fps)
    numbers = {f"judge_r_{name}": lips.correlation(seen[name], said[name]) for name in CURVES}
    numbers["judge_lag"] = float(lips.best_lag(seen["aperture"], said["aperture"])[0])
    numbers |= silences(bench, seen["aperture"], audio, film.fps)
    if judges.syncnet is not None:
        numbers |= syncnet.lse(judges.syncnet, film.frames, film.points, audio)
    return numbers, {f"said_{name}": curve for name, curve in said.items()}


def silences(bench: Bench, aperture: NDArray, audio: Audio, fps: float) -> Numbers:
    """How lips (t,) rest where nothing is said, by the sound's level and by the detector of speech."""
    count, vad = len(aperture), bench.judges.vad
    numbers = prefixed_by("level", silence_of(aperture, speech_by_level(audio, count, fps), fps))
    if vad is not None:
        numbers |= prefixed_by("vad", silence_of(aperture, speech_by_vad(vad, audio, count, fps), fps))
    return numbers


def prefixed_by(name: str, values: Numbers) -> Numbers:
    return {f"{name}_{key}": value for key, value in values.items()}


def against_truth(made: Film, true: Film) -> Numbers:
    """Lips of the made video against the true ones."""
    if not (made.has_face and true.has_face):
        return {}
    numbers = agreement(mouth_curves(made.points), mouth_curves(true.points))
    return prefixed({**numbers, "lme": lips.landmark_error(made.points, true.points)}, "made")


def agreement(seen: dict[str, NDArray], real: dict[str, NDArray]) -> Numbers:
    """Curves of a mouth against the true ones: r of each, lag and r at that lag, spread."""
    lag, best = lips.best_lag(seen["aperture"], real["aperture"])
    spread = np.nanstd(seen["aperture"]) / max(float(np.nanstd(real["aperture"])), 1e-6)
    numbers = {f"lip_r_{name}": lips.correlation(seen[name], real[name]) for name in CURVES}
    return {**numbers, "lip_lag": float(lag), "lip_r_best": best, "lip_spread": float(spread)}


def told_by_motion(bench: Bench, motion: Motion, subject: Subject, audio: Audio, true: Film | None) -> Numbers:
    """What a motion says before any pixel: its statistics, its lips in pauses and against the true video's."""
    curves = mouth_curves(points_of_motion(motion, subject, bench.vlogger.body))
    numbers = motion_statistics(motion, bench.vlogger.body, hands=True)
    numbers |= silences(bench, curves["aperture"], audio, motion.fps)
    if true is not None and true.has_face:
        numbers |= agreement(curves, mouth_curves(true.points))
    return prefixed(numbers, "motion")
