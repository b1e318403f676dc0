"""LSE-D and LSE-C by the official SyncNet (Chung, Zisserman 2016), if its weights are given: syncnet=syncnet_v2.model.

- LSE-D [1], better: down. 25 fps, 16 kHz; embeddings of 5-frame face windows (224 x 224) and of the 20 MFCC columns
  that belong to them; mean distance for each offset of up to 15 frames; the smallest of them
- LSE-C [1], better: up. Median minus smallest of those means

The face crop is a square around MediaPipe's face, 1.6 faces wide; the original takes its detector's box: values may
differ a little from published ones.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.fft import dct
from torch import Tensor, nn

from motion.audio import SAMPLE_RATE, resample
from render.landmarks import bounds, square
from vlogger.errors import UserError
from vlogger.pixels import resample as resample_picture
from vlogger.types import Audio

FPS = 25.0
SIDE = 224
FACES = 1.6  # side of the crop over that of the face
SPAN = 5  # frames of a window
COLUMNS = 20  # MFCC columns of the same window
SHIFT = 15  # frames
BINS, CEPSTRA, FFT, LIFTER, EMPHASIS = 26, 13, 512, 22, 0.97  # python_speech_features.mfcc's defaults


Size = Any  # a number, or two or three


def block(
    inward: int, outward: int, kernel: Size, stride: Size = 1, padding: Size = 0, flat: bool = True
) -> list[nn.Module]:
    conv, norm = (nn.Conv2d, nn.BatchNorm2d) if flat else (nn.Conv3d, nn.BatchNorm3d)
    return [conv(inward, outward, kernel, stride, padding), norm(outward), nn.ReLU()]


class SyncNet(nn.Module):
    """Layers and names as in joonson/syncnet_python's SyncNetModel.S."""

    def __init__(self):
        super().__init__()
        self.netcnnaud = nn.Sequential(
            *block(1, 64, 3, 1, 1),
            nn.MaxPool2d(1, 1),
            *block(64, 192, 3, 1, 1),
            nn.MaxPool2d(3, (1, 2)),
            *block(192, 384, 3, 1, 1),
            *block(384, 256, 3, 1, 1),
            *block(256, 256, 3, 1, 1),
            nn.MaxPool2d(3, 2),
            *block(256, 512, (5, 4)),
        )
        self.netfcaud = nn.Sequential(nn.Linear(512, 512), nn.BatchNorm1d(512), nn.ReLU(), nn.Linear(512, 1024))
        self.netfclip = nn.Sequential(nn.Linear(512, 512), nn.BatchNorm1d(512), nn.ReLU(), nn.Linear(512, 1024))
        self.netcnnlip = nn.Sequential(
            *block(3, 96, (5, 7, 7), (1, 2, 2), flat=False),
            nn.MaxPool3d((1, 3, 3), (1, 2, 2)),
            *block(96, 256, (1, 5, 5), (1, 2, 2), (0, 1, 1), flat=False),
            nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1)),
            *block(256, 256, (1, 3, 3), 1, (0, 1, 1), flat=False),
            *block(256, 256, (1, 3, 3), 1, (0, 1, 1), flat=False),
            *block(256, 256, (1, 3, 3), 1, (0, 1, 1), flat=False),
            nn.MaxPool3d((1, 3, 3), (1, 2, 2)),
            *block(256, 512, (1, 6, 6), flat=False),
        )

    def hear(self, mfcc: Tensor) -> Tensor:
        """(b, 1, 13, 20) -> (b, 1024)."""
        return self.netfcaud(self.netcnnaud(mfcc).flatten(1))

    def see(self, faces: Tensor) -> Tensor:
        """(b, 3, 5, 224, 224) BGR in 0..255 -> (b, 1024)."""
        return self.netfclip(self.netcnnlip(faces).flatten(1))


def load_syncnet(path: Path) -> SyncNet:
    """syncnet_v2.model: a state dict."""
    if not path.is_file():
        raise UserError(f"{path} does not exist: give syncnet= the path of syncnet_v2.model, or leave it out")
    network = SyncNet()
    try:
        network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    except (RuntimeError, ValueError) as error:
        raise UserError(f"{path} does not hold SyncNet's weights: give syncnet_v2.model") from error
    return network.eval().requires_grad_(False)


def face_crops(frames: Tensor, points: NDArray) -> Tensor:
    """Frames (t, 3, h, w) uint8, points (t, 478, 3) -> (t, 3, 224, 224) BGR; a frame without a face takes the box of
    the one before."""
    seen = np.flatnonzero(np.isfinite(points[:, 0, 0]))
    at = seen[(np.searchsorted(seen, np.arange(len(frames)), side="right") - 1).clip(min=0)]
    crops = []
    for frame, index in zip(frames, at):
        left, top, right, bottom = square(bounds(points[index]), FACES)
        crops.append(resample_picture(frame, (top, left, bottom - top, right - left), SIDE, SIDE))
    return torch.stack(crops).flip(1).float()


def mfcc(samples: Tensor) -> NDArray:
    """16 kHz sound -> (c, 13), 100 columns a second, as python_speech_features.mfcc of 16-bit samples."""
    signal = (samples.numpy() * 32768).astype(np.float64)
    signal = np.append(signal[0], signal[1:] - EMPHASIS * signal[:-1])
    length, hop = 400, 160
    count = 1 + max(0, -(-(len(signal) - length) // hop))
    signal = np.pad(signal, (0, max(0, (count - 1) * hop + length - len(signal))))
    frames = signal[np.arange(count)[:, None] * hop + np.arange(length)]
    power = np.abs(np.fft.rfft(frames, FFT)) ** 2 / FFT
    energy = np.maximum(power.sum(1), np.finfo(float).eps)
    bank = np.maximum(power @ filters().T, np.finfo(float).eps)
    cepstra = np.asarray(dct(np.log(bank), type=2, axis=1, norm="ortho"))[:, :CEPSTRA]
    cepstra *= 1 + LIFTER / 2 * np.sin(np.pi * np.arange(CEPSTRA) / LIFTER)
    cepstra[:, 0] = np.log(energy)
    return cepstra


def filters() -> NDArray:
    """(26, 257) triangles on the mel scale from 0 to 8 kHz, corners on FFT bins."""
    mel = np.linspace(0, 2595 * np.log10(1 + SAMPLE_RATE / 2 / 700), BINS + 2)
    corner = np.floor((FFT + 1) * 700 * (10 ** (mel / 2595) - 1) / SAMPLE_RATE)
    bin_ = np.arange(FFT // 2 + 1)
    rise = (bin_ - corner[:-2, None]) / (corner[1:-1] - corner[:-2])[:, None]
    fall = (corner[2:, None] - bin_) / (corner[2:] - corner[1:-1])[:, None]
    return np.where(bin_ < corner[1:-1, None], rise, fall).clip(min=0)


@torch.inference_mode()
def lse(network: SyncNet, frames: Tensor, points: NDArray, audio: Audio) -> dict[str, float]:
    """LSE-D and LSE-C of frames (t, 3, h, w) uint8 at 25 fps; nan for clips without enough frames or a face."""
    columns = mfcc(resample(audio.samples, audio.sample_rate))
    count = min(len(frames) - SPAN + 1, (len(columns) - COLUMNS) // 4 + 1)
    if count < 2 or not np.isfinite(points[:, 0, 0]).any():
        return {"lse_d": float("nan"), "lse_c": float("nan")}
    crops, heard = face_crops(frames, points), torch.from_numpy(columns.T).float()
    seen = [network.see(crops[i : i + SPAN].transpose(0, 1)[None])[0] for i in range(count)]
    said = [network.hear(heard[None, None, :, 4 * i : 4 * i + COLUMNS])[0] for i in range(count)]
    means = offset_distances(torch.stack(seen), torch.stack(said))
    return {"lse_d": float(means.min()), "lse_c": float(means.median() - means.min())}


def offset_distances(seen: Tensor, said: Tensor) -> Tensor:
    """(t, d) twice -> (2 * SHIFT + 1,) mean L2 distance at each offset; beyond the ends there are zeros."""
    padded = torch.nn.functional.pad(said, (0, 0, SHIFT, SHIFT))
    distances = [torch.pairwise_distance(row[None], padded[i : i + 2 * SHIFT + 1]) for i, row in enumerate(seen)]
    return torch.stack(distances).mean(0)
