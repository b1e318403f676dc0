"""What the numbers are called, their units, and which way is better; their definitions are where they are computed."""

from dataclasses import dataclass
from typing import Literal

Better = Literal["up", "down", "truth", "0"]


@dataclass(frozen=True)
class Metric:
    """A column of the report. `better`: up, down, near the true clip's value, or near 0."""

    key: str
    title: str
    unit: str
    better: Better
    digits: int = 3


LIPS = (
    Metric("lip_r_aperture", "r of lip aperture with the truth", "", "up"),
    Metric("lip_r_width", "r of mouth width with the truth", "", "up"),
    Metric("lip_r_jaw", "r of jaw with the truth", "", "up"),
    Metric("lip_lag", "best lag to the truth", "frames", "0", 2),
    Metric("lip_r_best", "r of aperture at the best lag", "", "up"),
    Metric("lip_spread", "spread of the aperture, made over true", "", "truth"),
    Metric("lme", "LME", "mm", "down"),
    Metric("judge_r_aperture", "audio judge: r of aperture", "", "up"),
    Metric("judge_r_width", "audio judge: r of width", "", "up"),
    Metric("judge_r_jaw", "audio judge: r of jaw", "", "up"),
    Metric("judge_lag", "audio judge: best lag", "frames", "0", 2),
    Metric("lse_d", "LSE-D", "", "down", 2),
    Metric("lse_c", "LSE-C", "", "up", 2),
)
SILENCE = (
    Metric("vad_silent_motion", "lip speed in silence over speech (silero-vad)", "", "truth"),
    Metric("vad_silent_aperture", "aperture in silence (silero-vad)", "pupils", "truth", 4),
    Metric("vad_pause_motion", "lip speed in pauses over speech (silero-vad)", "", "down"),
    Metric("level_silent_motion", "lip speed in silence over speech (level)", "", "truth"),
    Metric("level_silent_aperture", "aperture in silence (level)", "pupils", "truth", 4),
    Metric("level_pause_motion", "lip speed in pauses over speech (level)", "", "down"),
)
IDENTITY = (
    Metric("identity_distance", "identity distance to the reference (dlib, L2)", "", "down"),
    Metric("identity_cosine", "F-SIM to the reference (dlib, cosine)", "", "truth", 4),
    Metric("head_shape", "head shape error", "mm", "down", 2),
    Metric("face_found", "frames in which a face is found", "", "up", 3),
)
QUALITY = (
    Metric("niqe", "NIQE", "", "down", 2),
    Metric("cpbd", "CPBD", "", "up"),
)
MOTION = (
    Metric("jitter", "jitter of the face", "m/s^3", "truth", 1),
    Metric("expression_diversity", "expression diversity", "", "truth", 4),
    Metric("head_speed", "head speed", "deg/s", "truth", 2),
    Metric("head_speed_deviation", "head speed deviation within a clip", "deg/s", "truth", 2),
    Metric("head_range", "head range", "deg", "truth", 2),
    Metric("blink_rate", "blink rate", "1/min", "truth", 1),
    Metric("blink_duration", "blink duration", "s", "truth"),
    Metric("gaze_spread", "gaze spread", "deg", "truth", 2),
    Metric("hand_activity", "hand activity", "m/s", "truth", 4),
)
REENACTMENT = (
    Metric("psnr", "PSNR", "dB", "up", 2),
    Metric("ssim", "SSIM", "", "up"),
    Metric("l1", "L1", "", "down", 4),
    Metric("mobilenet_distance", "MobileNet distance", "", "down"),
    Metric("lpips", "LPIPS (AlexNet)", "", "down"),
)
FAMILIES = {
    "Lips": LIPS,
    "Silence": SILENCE,
    "Identity": IDENTITY,
    "Quality": QUALITY,
    "Motion": MOTION,
}
