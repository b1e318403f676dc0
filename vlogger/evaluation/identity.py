"""Is it still the same person? dlib's face embedding, and the shape of the head.

- identity distance [1], better: down. L2 distance of the 128-D embeddings of a frame and of the reference; dlib's own
  threshold for "the same person" is 0.6, ours on other talking videos 0.51
- F-SIM [1], better: truth's. Cosine of the same embeddings (EMO 4.2; near the value of the true clip is best)
- head shape [mm], better: down. Distance of the head's vertices, at rest and centred, of the shapes fitted to
  reference and frames

The network is dlib's ResNet (`dlib_face_recognition_resnet_model_v1`, CC0, LFW 99.38 %) with the weights of face-api
(MIT), 8-bit quantised: `python -m vlogger.evaluation.fetch`. VLOGGER and EMO used other networks: not comparable.
"""

import json
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from vlogger.pixels import resize

MODEL = "face_recognition_model"
CHIP, PADDING = 150, 0.25
MEAN = (122.782, 117.001, 104.298)
# dlib's mean places of the five points in its chip (get_face_chip_details), by MediaPipe's numbers: the corners of
# the person's left eye (outer, inner), of the right one (outer, inner), and the base of the nose.
PLACES = {
    263: (0.8595674595992, 0.2134981538014),
    362: (0.6460604764104, 0.2289674387677),
    33: (0.1205750620789, 0.2137274526848),
    133: (0.3340850613712, 0.2290642403242),
    2: (0.4901123135679, 0.6277975316475),
}
BLOCKS = (
    *(("res", f"conv32_{i}") for i in (1, 2, 3)),
    ("down", "conv64_down"),
    *(("res", f"conv64_{i}") for i in (1, 2, 3)),
    ("down", "conv128_down"),
    *(("res", f"conv128_{i}") for i in (1, 2)),
    ("down", "conv256_down"),
    *(("res", f"conv256_{i}") for i in (1, 2)),
    ("down", "conv256_down_out"),
)


def read_quantised(folder: Path, name: str = MODEL) -> dict[str, Tensor]:
    """A tensorflow.js weight file and its manifest: values are uint8 * scale + min, or float32."""
    manifest = json.loads((folder / f"{name}-weights_manifest.json").read_text())
    entry = manifest[0] if isinstance(manifest, list) else manifest
    buffer, start, weights = b"".join((folder / path).read_bytes() for path in entry["paths"]), 0, {}
    for one in entry["weights"]:
        count, packed = int(np.prod(one["shape"])), one.get("quantization")
        kind = np.dtype(packed["dtype"] if packed else "<f4")
        values = np.frombuffer(buffer, kind, count, start).astype(np.float32)
        values = values * packed["scale"] + packed["min"] if packed else values
        weights[one["name"]] = torch.from_numpy(values.reshape(one["shape"]).astype(np.float32))
        start += count * kind.itemsize
    return weights


class FaceEmbedding(nn.Module):
    """Chips (b, 3, 150, 150) RGB in 0..255 -> embeddings (b, 128)."""

    def __init__(self, weights: dict[str, Tensor]):
        super().__init__()
        for name, value in weights.items():
            value = value.permute(3, 2, 0, 1).contiguous() if value.ndim == 4 else value
            self.register_buffer(name.replace("/", "__"), value)

    def forward(self, chips: Tensor) -> Tensor:
        x = (chips - chips.new_tensor(MEAN)[:, None, None]) / 256
        x = F.max_pool2d(F.relu(self.conv(x, "conv32_down", stride=2, padded=False)), 3, 2)
        for kind, name in BLOCKS:
            x = F.relu(self.inner(x, name) + x) if kind == "res" else F.relu(added(*self.halved(x, name)))
        return x.mean((2, 3)) @ self.get_buffer("fc")

    def inner(self, x: Tensor, name: str) -> Tensor:
        return self.conv(F.relu(self.conv(x, f"{name}/conv1")), f"{name}/conv2")

    def halved(self, x: Tensor, name: str) -> tuple[Tensor, Tensor]:
        """The convolved and the pooled branch."""
        convolved = self.conv(F.relu(self.conv(x, f"{name}/conv1", stride=2, padded=False)), f"{name}/conv2")
        return convolved, F.avg_pool2d(x, 2, 2)

    def conv(self, x: Tensor, name: str, stride: int = 1, padded: bool = True) -> Tensor:
        """Convolution, then dlib's affine layer."""
        name = name.replace("/", "__")
        weight = self.get_buffer(f"{name}__conv__filters")
        padding = weight.shape[-1] // 2 if padded else 0
        x = F.conv2d(x, weight, self.get_buffer(f"{name}__conv__bias"), stride, padding)
        scale, bias = (self.get_buffer(f"{name}__scale__{kind}") for kind in ("weights", "biases"))
        return x * scale[:, None, None] + bias[:, None, None]


def added(first: Tensor, second: Tensor) -> Tensor:
    """Sum of two maps; the one with fewer rows, columns or channels goes on with zeros (dlib's add_prev)."""
    sizes = [max(a, b) for a, b in zip(first.shape[1:], second.shape[1:])]
    channels, height, width = sizes

    def grown(x: Tensor) -> Tensor:
        return F.pad(x, (0, width - x.shape[3], 0, height - x.shape[2], 0, channels - x.shape[1]))

    return grown(first) + grown(second)


def chip_of(frame: Tensor, points: NDArray) -> Tensor:
    """The face upright: frame (3, h, w) uint8, MediaPipe's points (478, 3) -> (3, 150, 150) float in 0..255."""
    goal = (np.array(list(PLACES.values())) + PADDING) / (2 * PADDING + 1) * CHIP
    turn, shift = similarity(goal, points[list(PLACES), :2])  # chip -> picture
    zoom = float(np.sqrt(abs(np.linalg.det(turn))))
    picture = frame.float()
    if zoom > 1:  # average before sampling sparsely
        height, width = (max(1, round(side / zoom)) for side in frame.shape[1:])
        picture = resize(picture, height, width)
    y, x = np.mgrid[:CHIP, :CHIP] + 0.5
    at = np.stack([x, y], -1) @ turn.T + shift
    scale = np.array([frame.shape[2], frame.shape[1]]) / 2
    grid = torch.from_numpy(at / scale - 1).float()[None]
    return F.grid_sample(picture[None], grid, padding_mode="border", align_corners=False)[0]


def similarity(source: NDArray, target: NDArray) -> tuple[NDArray, NDArray]:
    """Scaled rotation (2, 2) and shift (2,) that bring points (n, 2) closest to others (Umeyama 1991)."""
    a, b = source - source.mean(0), target - target.mean(0)
    u, s, vt = np.linalg.svd(b.T @ a)
    sign = np.array([1.0, np.sign(np.linalg.det(u @ vt))])
    turn = (s * sign).sum() / (a**2).sum() * (u * sign) @ vt
    return turn, target.mean(0) - turn @ source.mean(0)


@torch.inference_mode()
def embeddings(network: FaceEmbedding, frames: Tensor, points: NDArray) -> Tensor:
    """Frames (t, 3, h, w) uint8 and their points (t, 478, 3) -> (n, 128) of those that show a face."""
    seen = np.flatnonzero(np.isfinite(points[:, 0, 0]))
    if not len(seen):
        return torch.zeros(0, 128)
    return network(torch.stack([chip_of(frames[i], points[i]) for i in seen]))


def compared(found: Tensor, reference: Tensor) -> dict[str, float]:
    """Mean over frames (n, 128) of distance and cosine to the reference (128,); nan without frames."""
    if not len(found):
        return {"identity_distance": float("nan"), "identity_cosine": float("nan")}
    return {
        "identity_distance": float((found - reference).norm(dim=1).mean()),
        "identity_cosine": float(F.cosine_similarity(found, reference[None]).mean()),
    }


def head_shape_distance(first: Tensor, second: Tensor) -> float:
    """Mean distance in mm of head vertices (v, 3) in metres, each centred: what a fit says of size and form."""
    apart = (first - first.mean(0)) - (second - second.mean(0))
    return float(1000 * apart.norm(dim=1).mean())
