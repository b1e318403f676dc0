"""What faces and bodies do beside the mouth while somebody speaks: chance processes with published statistics.

There is no clean recording of these for training, so their motion is drawn from processes that are tied to the speech:

- blinks: 17 a minute (15-20: Bentivoglio et al. 1997), 110-400 ms, more often in pauses than in speech, fast down
  and slower up;
- gaze: fixations of 1.6 s on average, two thirds of them on the camera, saccades of 40 ms; the eyes turn against the
  head, so that what was looked at stays looked at;
- head: changes of posture within seconds, slow sways and ordinary movements (below 1.8 Hz, and 1.8 to 3.7 Hz: Hadar
  et al. 1983), nods at stressed syllables (Munhall et al. 2004; Graf et al. 2002: 2-5 degrees). Who talks moves the
  head nearly all the time, who is silent hardly (Hadar: 89.9 and 12.8 % of the time), so all of it grows with how much
  is said around a moment: a single word leaves a calm head;
- brows: up at a third of the stresses; they, lids, cheeks, nose and the mouth beside its speech also follow moods;
- arms, hands and torso: beats at stressed syllables (McNeill 1992), the stroke landing on the syllable; breathing.

A motion is a table of curves by feature name (`motion.features`), radians, metres or expression units, at RATE.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from motion.augment import uniform
from motion.features import FeatureSpace
from motion.prosody import Prosody

RATE = 50.0  # samples a second
MEMORY = 2.5  # seconds of speech that make a speaker lively
CALM, AWAKE = 0.077, 0.45  # share of the head's and of the face's motion that is left when nobody speaks
REACH = 3.0  # seconds before and after a moment of which it counts how much is said
WORDS, SPEECH = 1.4, 2.6  # seconds said within that by who says a word or two, and by who talks on and on
BLINKS_A_MINUTE = 17.0
IN_PAUSES, IN_SPEECH = 2.0, 0.8  # times as many blinks as on average
REFRACTORY = 0.6  # seconds between blinks
DEGREE = torch.pi / 180


@dataclass(frozen=True)
class Scene:
    """When: moments (t,) in seconds at RATE, how much is being said at each (t,), stressed syllables and strengths, and
    the share of the last MEMORY seconds in which somebody spoke (t,), and how many seconds of the REACH before and the
    REACH to come somebody speaks (t,)."""

    times: Tensor
    speech: Tensor
    accents: Tensor
    strength: Tensor
    talking: Tensor
    said: Tensor

    @property
    def engaged(self) -> Tensor:
        """(t,) from 0, who says a word or two or nothing, to 1, who talks on and on."""
        share = ((self.said - WORDS) / (SPEECH - WORDS)).clamp(0, 1)
        return share * share * (3 - 2 * share) * self.talking

    @property
    def lively(self) -> Tensor:
        """(t,) how large the head's movements are."""
        return CALM + (1 - CALM) * self.engaged

    @property
    def awake(self) -> Tensor:
        """(t,) how much the face moves beside its speech."""
        return AWAKE + (1 - AWAKE) * self.engaged


def scene(heard: Prosody, start: float, seconds: float) -> Scene:
    """The part of a recording from `start` on; outside of it nobody speaks."""
    times = start + torch.arange(round(seconds * RATE) + 1) / RATE
    curves = (heard.speech, recent(heard.speech), around(heard.speech))
    speech, talking, said = (at(curve, times) for curve in curves)
    near = (heard.accents > start - 1) & (heard.accents < start + seconds + 1)
    return Scene(times, speech, heard.accents[near], heard.strength[near], talking, said)


def at(curve: Tensor, times: Tensor) -> Tensor:
    """A curve of 100 columns a second at moments (t,); 0 beyond its ends."""
    column = (times * 100).round().long()
    inside = (column >= 0) & (column < len(curve))
    return torch.where(inside, curve[column.clamp(0, max(0, len(curve) - 1))], 0.0)


def recent(speech: Tensor) -> Tensor:
    """(c,) share of speech in the last MEMORY seconds, of 100 columns each, or in all so far, a second at least."""
    width = round(MEMORY * 100)
    spoken = F.avg_pool1d(F.pad(speech[None, None], (width - 1, 0)), width, 1)[0, 0] * width
    return spoken / torch.arange(1, len(speech) + 1).clamp(100, width)


def around(speech: Tensor) -> Tensor:
    """(c,) 0 or 1, 100 columns a second -> seconds of speech within REACH before and after each."""
    width = 2 * round(REACH * 100) + 1
    return F.avg_pool1d(speech[None, None], width, 1, width // 2)[0, 0] * width / 100


def habits(space: FeatureSpace, view: Scene, generator: torch.Generator) -> Tensor:
    """(t, d) of one draw of all processes; the mouth's features are 0. Not divided by the space's scales."""
    turn = head(view, generator)
    curves = {**turn, **eyes(view, turn, generator), **brows(view, generator), **body(view, generator)}
    shut = blinks(view, generator)
    for side in ("Left", "Right"):
        curves[f"eyeBlink{side}"] = shut
        curves[f"eyeSquint{side}"] = curves[f"eyeSquint{side}"] + 0.15 * shut
    nothing = torch.zeros(len(view.times))
    return torch.stack([curves.get(name, nothing) for name in space.names], dim=1)


def normal(generator: torch.Generator) -> float:
    """One number."""
    return float(torch.randn((), generator=generator))


def sway(count: int, seconds: float, generator: torch.Generator) -> Tensor:
    """(count,) smooth noise of variance 1 that forgets itself in about `seconds`."""
    reach = max(1, round(3 * seconds * RATE))
    place = torch.arange(-reach, reach + 1) / RATE / seconds
    kernel = torch.exp(-0.5 * (2.0 * place) ** 2)
    noise = torch.randn(count + 2 * reach, generator=generator)
    return F.conv1d(noise[None, None], (kernel / kernel.norm())[None, None])[0, 0]


def bump(times: Tensor, centre: float, width: float) -> Tensor:
    """(t,) a Gaussian of height 1; width: standard deviation, seconds."""
    return torch.exp(-0.5 * ((times - centre) / width) ** 2)


def blink_moments(view: Scene, generator: torch.Generator) -> list[float]:
    """When the eyes begin to close: a Poisson process whose rate follows the speech, with a refractory time."""
    rate = BLINKS_A_MINUTE / 60 * torch.where(view.speech > 0.5, IN_SPEECH, IN_PAUSES)
    rate = rate / (1 - REFRACTORY * BLINKS_A_MINUTE / 60)
    hits = torch.rand(len(rate), generator=generator) < rate / RATE
    moments: list[float] = []
    for moment in view.times[hits].tolist():
        if not moments or moment - moments[-1] > REFRACTORY:
            moments.append(moment)
    return moments


def blink(times: Tensor, start: float, seconds: float) -> Tensor:
    """(t,) one blink: down in a quarter of its time, a third shut, then up."""
    share = (times - start) / seconds
    down = 0.5 - 0.5 * torch.cos(torch.pi * (share / 0.25).clamp(0, 1))
    up = 0.5 + 0.5 * torch.cos(torch.pi * ((share - 0.58) / 0.42).clamp(0, 1))
    return torch.minimum(down, up)


def blinks(view: Scene, generator: torch.Generator) -> Tensor:
    """(t,) how far the lids are shut, 0 to 1. A blink that would not end within the scene does not begin."""
    shut = torch.zeros(len(view.times))
    for moment in blink_moments(view, generator):
        seconds, far = min(0.4, max(0.2, 0.29 * 2.0 ** (0.4 * normal(generator)))), uniform(0.88, 1.0, generator)
        if moment + seconds <= float(view.times[-1]):
            shut = torch.maximum(shut, far * blink(view.times, moment, seconds))
    return shut


# Standard deviations in degrees of pitch, yaw and roll of a lively head, and how long they last, seconds
SWAYS = (((3.5, 4.7, 4.3), 2.6), ((5.0, 6.4, 4.5), 0.5), ((1.9, 2.1, 1.3), 0.2))
POSTURE = 1.0  # seconds: sways that last longer are changes of posture
NOD = (3.3, 10.0)  # degrees, of a stress of mean strength
FARTHEST = (11.0, 15.0, 13.0)  # degrees of pitch, yaw and roll that are never passed


def head(view: Scene, generator: torch.Generator) -> dict[str, Tensor]:
    """Rotations of neck and head, and the shift that goes with them."""
    count, lively = len(view.times), view.lively
    pitch, yaw, roll = (swaying(view, axis, generator) for axis in range(3))
    for moment, strength in zip(view.accents.tolist(), view.strength.tolist(), strict=True):
        eager = float(at_moment(lively, view, moment))
        if uniform(0, 1, generator) < 0.6:
            size = eager * strength * uniform(*NOD, generator) * DEGREE
            nod = bump(view.times, moment + 0.06, 0.08) - 0.35 * bump(view.times, moment - 0.18, 0.1)
            pitch = pitch + size * nod
        if uniform(0, 1, generator) < 0.25:
            yaw = yaw + eager * 3.3 * DEGREE * normal(generator) * bump(view.times, moment, 0.2)
    pitch, yaw, roll = (
        most * DEGREE * torch.tanh(turn / (most * DEGREE))
        for most, turn in zip(FARTHEST, (pitch, yaw, roll), strict=True)
    )
    shift = 0.0015 * lively * sway(count, 2.0, generator)
    curves = {
        "translation.x": 0.012 * roll + shift,
        "translation.z": 0.03 * pitch + 0.001 * lively * sway(count, 2.0, generator),
    }
    for joint, share in (("neck", 0.4), ("head", 0.6)):
        curves |= {f"{joint}.{axis}": share * value for axis, value in (("x", pitch), ("y", yaw), ("z", roll))}
    return curves


def swaying(view: Scene, axis: int, generator: torch.Generator) -> Tensor:
    """(t,) radians about one axis, of all SWAYS; a posture hardly changes for a word or two."""
    turn = torch.zeros(len(view.times))
    for sizes, seconds in SWAYS:
        size = sizes[axis] * DEGREE * view.lively
        if seconds > POSTURE:
            size = size * (0.2 + 0.8 * view.engaged)
        turn = turn + size * sway(len(view.times), seconds, generator)
    return turn


def at_moment(curve: Tensor, view: Scene, moment: float) -> Tensor:
    """The value of a curve (t,) at one moment, at its ends beyond them."""
    return curve[min(max(0, round((moment - float(view.times[0])) * RATE)), len(curve) - 1)]


def fixations(view: Scene, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Where the eyes look, degrees down and to the viewer's right (t,): steps of 40 ms."""
    down, right = torch.zeros(len(view.times)), torch.zeros(len(view.times))
    moment, last = float(view.times[0]) - 1.0, float(view.times[-1])
    while moment < last:
        away = uniform(0, 1, generator) > 0.66
        target = (1.0 + 3.0 * normal(generator), 5.5 * normal(generator)) if away else (0.0, 0.0)
        jitter = (0.3 * normal(generator), 0.3 * normal(generator))
        ramp = ((view.times - moment) / 0.04).clamp(0, 1)
        down = down + ramp * (target[0] + jitter[0] - down)
        right = right + ramp * (target[1] + jitter[1] - right)
        moment += 0.25 + _exponential(0.9 if away else 1.8, generator)
    return down, right


def _exponential(mean: float, generator: torch.Generator) -> float:
    return -mean * float(torch.rand((), generator=generator).clamp(min=1e-6).log())


def eyes(view: Scene, turn: Mapping[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
    """Rotations of both eyes against the head's, and the lids that follow them."""
    down, right = fixations(view, generator)
    pitch = down * DEGREE - 0.9 * (turn["neck.x"] + turn["head.x"])
    yaw = right * DEGREE - 0.9 * (turn["neck.y"] + turn["head.y"])
    curves = {}
    for side in ("left", "right"):
        curves |= {f"{side}_eye.x": pitch, f"{side}_eye.y": yaw}
        curves[f"eyeLookDown{side.title()}"] = (pitch / 0.45).clamp(0, 1)
        curves[f"eyeLookUp{side.title()}"] = (-pitch / 0.45).clamp(0, 1)
    return curves


def brows(view: Scene, generator: torch.Generator) -> dict[str, Tensor]:
    """Up at a third of the stresses, now and then a frown; what is not up is down; a mood around the eyes."""
    count, awake = len(view.times), view.awake
    up = awake * (RAISED + 0.6 * sway(count, 0.6, generator))
    frown = awake * (0.7 * sway(count, 0.7, generator) - SELDOM).clamp(min=0)
    for moment, strength in zip(view.accents.tolist(), view.strength.tolist(), strict=True):
        chance, eager = uniform(0, 1, generator), float(at_moment(awake, view, moment))
        if chance < 0.33:
            up = up + eager * strength * uniform(0.25, 0.7, generator) * bump(view.times, moment, 0.14)
        elif chance > 0.92:
            frown = frown + eager * uniform(0.15, 0.4, generator) * bump(view.times, moment, 0.25)
    mood, sides = awake * sway(count, 1.1, generator), ("Left", "Right")
    outer = {f"{unit}{side}": size * up for unit, size in (("browOuterUp", 0.7), ("eyeWide", 0.45)) for side in sides}
    pleased = {f"{unit}{side}": size * mood for unit, size in PLEASED.items() for side in sides}
    down = frown + 0.5 * (-up).clamp(min=0)
    return {"browInnerUp": up, **outer, **{f"browDown{side}": down for side in sides}, **pleased}


RAISED, SELDOM = 0.2, 0.6  # brows of who speaks are up rather than down; what of a frown's sway is not shown
PLEASED = {"eyeSquint": 0.18, "cheekSquint": 0.18, "noseSneer": 0.18}  # how much a mood moves them


SIDEWAYS, FORWARD, PRESSED, SMILE = 0.22, 0.3, 0.12, 0.06  # standard deviations of what a mood does to jaw and lips


def moods(space: FeatureSpace, view: Scene, generator: torch.Generator) -> Tensor:
    """(t, d) what is on a mouth beside its speech, to be added: smiles, pressed corners, a jaw that is never quite
    in the middle; 0 but for the mouth's features. Nothing that opens or shuts the lips."""
    count, awake = len(view.times), view.awake
    side, forward, pressed, smile = (
        size * awake * sway(count, seconds, generator)
        for size, seconds in ((SIDEWAYS, 1.2), (FORWARD, 1.5), (PRESSED, 1.2), (SMILE, 2.0))
    )
    curves = {"jawLeft": side.clamp(min=0), "jawRight": (-side).clamp(min=0), "jawForward": forward}
    for way in ("Left", "Right"):
        curves[f"mouthPress{way}"] = pressed + 0.3 * PRESSED * awake * sway(count, 1.2, generator)
        smiling = smile + 0.3 * SMILE * awake * sway(count, 1.5, generator)
        curves |= {f"mouthSmile{way}": smiling, f"mouthDimple{way}": smiling}
    nothing = torch.zeros(count)
    return torch.stack([curves.get(name, nothing) for name in space.names], dim=1)


def body(view: Scene, generator: torch.Generator) -> dict[str, Tensor]:
    """Beats of the arms and hands, the torso's share in them, and breathing."""
    count = len(view.times)
    curves: dict[str, Tensor] = {
        "spine3.x": 0.006 * torch.sin(2 * torch.pi * (0.25 * view.times + uniform(0, 1, generator)))
        + 0.010 * sway(count, 1.5, generator),
        "spine3.y": 0.012 * sway(count, 2.0, generator),
        "spine3.z": 0.008 * sway(count, 2.0, generator),
    }
    raised = {side: 0.015 * sway(count, 1.2, generator) for side in ("left", "right")}
    flick = {side: 0.02 * sway(count, 0.8, generator) for side in ("left", "right")}
    for moment, strength in zip(view.accents.tolist(), view.strength.tolist(), strict=True):
        chance, size = uniform(0, 1, generator), strength * uniform(0.06, 0.17, generator)
        if chance > 0.6:
            continue
        curves["spine3.x"] = curves["spine3.x"] + 0.08 * size * bump(view.times, moment, 0.15)
        for side in ("left", "right") if chance < 0.35 else (("left",) if chance < 0.47 else ("right",)):
            lifted, landed = bump(view.times, moment - 0.17, 0.13), bump(view.times, moment + 0.05, 0.08)
            raised[side] = raised[side] + size * (lifted - 0.35 * landed)
            flick[side] = flick[side] + size * (0.8 * lifted - 0.9 * landed)
    for side, sign in (("left", -1.0), ("right", 1.0)):
        curves[f"{side}_elbow.y"] = sign * raised[side]
        curves[f"{side}_shoulder.y"] = 0.3 * sign * raised[side]
        curves[f"{side}_shoulder.z"] = -0.2 * sign * raised[side]
        curves[f"{side}_wrist.z"] = -sign * flick[side]
        curves[f"{side}_wrist.y"] = 0.5 * sign * flick[side]
    return curves
