"""The motion network: a causal transformer over time that predicts the clean motion (VLOGGER 3.1).

One token a frame: the noisy frame, the sound around it and the diffusion step, each through its embedding, added up;
then self-attention layers in which each frame sees only itself and earlier ones. The frame number enters as rotary
position (Su et al., arXiv 2104.09864) in seconds, so that it is relative and any fps or length will do.

Frames that are already known are given clean, at diffusion step 0: the network continues them. What it makes of them
does not depend on what follows, so their keys and values are kept (`Memory`) and not computed again: motion of any
length is made in chunks, in constant memory.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from diffusers.configuration_utils import register_to_config
from torch import Tensor, nn
from torch.nn import functional as F

from motion.features import EXPRESSIONS, FeatureSpace
from vlogger.checkpoint import Checkpoint
from vlogger.diffusion.blocks import TimeEmbedding, step_of, zero_

WEIGHTS = Path(__file__).with_name("weights")
POSITIONS_PER_SECOND = 25.0


def rotary(times: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Moments (b, t) in seconds -> cosine and sine (b, 1, t, size / 2); periods from 6 frames to 10 minutes."""
    frequency = 1000.0 ** -(torch.arange(size // 2, device=times.device, dtype=torch.float64) / (size // 2))
    angle = (times.double() * POSITIONS_PER_SECOND)[:, None, :, None] * frequency  # exact after hours, too
    return angle.cos().float(), angle.sin().float()


def rotate(x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Turn the pairs (first half, second half) of (b, heads, t, size)."""
    first, second = x.chunk(2, dim=-1)
    return torch.cat([first * cosine - second * sine, first * sine + second * cosine], dim=-1)


def causal_mask(frames: int, reach: int, device: torch.device, before: int = 0) -> Tensor:
    """(t, before + t) True where the row's frame may look: itself and the `reach` - 1 frames before it."""
    index = torch.arange(before + frames, device=device)
    distance = index[before:, None] - index[None, :]
    return (distance >= 0) & (distance < reach)


def together(mask: Tensor, given: Tensor, reach: int) -> Tensor:
    """(t, before + t) of `causal_mask`, given (b, t, 1) -> (b, 1, t, before + t): frames that are made together look at
    each other, later ones too. What is known still sees nothing of what follows."""
    frames, index = given.shape[1], torch.arange(given.shape[1], device=given.device)
    near = (index[:, None] - index[None, :]).abs() < reach
    made = given[..., 0] < 0.5
    both = made[:, :, None] & made[:, None, :] & near
    return (mask | F.pad(both, (mask.shape[1] - frames, 0)))[:, None]


class Memory(NamedTuple):
    """Keys and values (b, heads, m, size) of the last known frames, of one layer; keys are turned already."""

    keys: Tensor
    values: Tensor

    def last(self, frames: int) -> "Memory":
        """The last `frames` of them."""
        first = max(0, self.keys.shape[2] - frames)
        return Memory(self.keys[:, :, first:], self.values[:, :, first:])


class Layer(nn.Module):
    """Self-attention over time, then an MLP, each added to its input after a norm."""

    def __init__(self, width: int, heads: int, dropout: float):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.to_qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, x: Tensor, position: tuple[Tensor, Tensor], mask: Tensor, memory: Memory | None = None
    ) -> tuple[Tensor, Memory]:
        """(b, t, width) -> the same, and the keys and values of all frames that it saw."""
        heard, memory = self.attend(self.norm1(x), position, mask, memory)
        x = x + self.dropout(heard)
        return x + self.dropout(self.mlp(self.norm2(x))), memory

    def attend(
        self, x: Tensor, position: tuple[Tensor, Tensor], mask: Tensor, memory: Memory | None
    ) -> tuple[Tensor, Memory]:
        """Self-attention over the memory and x."""
        q, k, v = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in self.to_qkv(x).chunk(3, dim=-1))
        q, k = rotate(q, *position), rotate(k, *position)
        if memory is not None:
            k, v = torch.cat([memory.keys, k], dim=2), torch.cat([memory.values, v], dim=2)
        heard = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return self.out(heard.transpose(1, 2).flatten(2)), Memory(k, v)


class MotionTransformer(Checkpoint):
    """Denoiser of scaled motion features (b, t, d), which `joints`, `keep`, `scale`, `residual` explain (FeatureSpace).

    The condition holds
    - audio (b, t, n * hears): what an ear heard at `offsets` (n,) seconds from each frame, zeros when there is none,
    - time (b, t): seconds of each frame,
    - past (b, t, d) and given (b, t, 1): the frames that are known, and 1 where they are.

    `ahead`: frames that are made together see each other, earlier and later ones. A causal network in a diffusion of
    all frames at once (the paper's) cannot agree with itself on anything slow: it knows of a frame's sway only what
    earlier frames' noise tells, so that sways come out too small.
    `direct`: a linear reading of the sound (`motion.regression`) is added to what the layers make, trusted differently
    at each diffusion step: from pure noise, where sampling begins, it says most of what can be said.
    """

    @register_to_config
    def __init__(
        self,
        width: int = 192,
        layers: int = 4,
        heads: int = 4,
        dropout: float = 0.1,
        reach: int = 64,
        hears: int = 200,
        offsets: Sequence[float] = (-0.06, -0.04, -0.02, 0.0, 0.02, 0.04),
        joints: Sequence[str] = ("neck", "head"),
        keep: Mapping[str, float] | None = None,
        scale: Mapping[str, float] | None = None,
        expressions: Sequence[str] = EXPRESSIONS,
        direct: bool = False,
        residual: bool = True,
        ahead: bool = False,
    ):
        super().__init__()
        size = self.space.size
        if direct:
            self.reading = zero_(nn.Linear(len(offsets) * hears, size))
            self.trust = zero_(nn.Linear(width, size))
        self.embed_motion = nn.Linear(size + 1, width)
        self.embed_audio = nn.Sequential(
            nn.Linear(len(offsets) * hears, width), nn.SiLU(), nn.Dropout(dropout), nn.Linear(width, width)
        )
        self.embed_step = TimeEmbedding(width)
        self.blocks = nn.ModuleList(Layer(width, heads, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.head = zero_(nn.Linear(width, size))

    @property
    def space(self) -> FeatureSpace:
        """What the features mean."""
        config = self.config
        return FeatureSpace(
            tuple(config["joints"]),
            dict(config["keep"] or {}),
            dict(config["scale"] or {}),
            tuple(config["expressions"]),
            config["residual"],
        )

    def forward(self, noisy: Tensor, timestep: Tensor | int, condition: Mapping[str, Tensor]) -> Tensor:
        """(b, t, d) noisy, diffusion step (b,) -> (b, t, d) clean."""
        return self.remember(noisy, timestep, condition, None)[0]

    def remember(
        self,
        noisy: Tensor,
        timestep: Tensor | int,
        condition: Mapping[str, Tensor],
        memories: Sequence[Memory] | None,
    ) -> tuple[Tensor, list[Memory]]:
        """The same for frames that follow those of `memories` (one a layer), and the memories of both."""
        batch, frames = noisy.shape[:2]
        given = condition["given"]
        motion = torch.where(given > 0.5, condition["past"], noisy)
        steps = step_of(timestep, batch, noisy.device)[:, None] * (1 - given[..., 0])
        token = self.embed_motion(torch.cat([motion, given], dim=-1)) + self.embed_audio(condition["audio"])
        step = self.embed_step(steps.flatten()).unflatten(0, (batch, frames))
        token = token + step
        position = rotary(condition["time"], self.head.in_features // self.config["heads"])
        before = memories[0].keys.shape[2] if memories else 0
        mask = causal_mask(frames, self.config["reach"], noisy.device, before)
        if self.config["ahead"]:
            mask = together(mask, given, self.config["reach"])
        kept = []
        for index, layer in enumerate(self.blocks):
            token, memory = layer(token, position, mask, memories[index] if memories else None)
            kept.append(memory)
        made = self.head(self.norm(token))
        return made + self.read_directly(condition["audio"], step) if self.config["direct"] else made, kept

    def read_directly(self, audio: Tensor, step: Tensor) -> Tensor:
        """Sound (b, t, n * hears), embedded diffusion step (b, t, width) -> (b, t, d); 0 where nothing is heard."""
        heard = (audio != 0).any(-1, keepdim=True)
        return heard * (1 + self.trust(step)) * self.reading(audio)


def load_network(path: str | Path | None = None) -> MotionTransformer:
    """Trained weights from a folder or a hub id (None: those that ship with vlogger), ready for sampling."""
    return MotionTransformer.from_pretrained(WEIGHTS if path is None else path)


def load_learned(path: str | Path | None = None) -> MotionTransformer:
    """The same; None: those that know head, gaze, brows and hands well enough to make them, too (motion=learned)."""
    return load_network(WEIGHTS / "learned" if path is None else path)


def continued(
    path: str | Path,
    direct: bool | None = None,
    ahead: bool | None = None,
    scale: Mapping[str, float] | None = None,
) -> MotionTransformer:
    """The same weights, ready for more training; `direct` adds or drops the direct reading of the sound, `ahead` tells
    whether frames that are made together see later ones, `scale` what their features are divided by from now on."""
    trained = load_network(path)
    asked = {"direct": direct, "ahead": ahead, "scale": None if scale is None else dict(scale)}
    wanted = {name: value for name, value in asked.items() if value is not None}
    if all(trained.config[name] == value for name, value in wanted.items()):
        return trained.train()
    config = {name: value for name, value in trained.config.items() if name != "_use_default_values"}
    network = MotionTransformer.from_config({**config, **wanted})
    assert isinstance(network, MotionTransformer)
    network.load_state_dict(trained.state_dict(), strict=False)
    return network.train()
