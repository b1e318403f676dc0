"""A painter upon a pretrained U-Net of diffusers, as the paper's upon Imagen (VLOGGER 3.2): the base stays frozen.

Beside it learns the control branch: a copy of its encoder with temporal convolutions, joined to its skips and middle by
zero-initialised 1x1 convolutions, so that at the start the painter is the pretrained model. Any `UNet2DModel` or
`UNet2DConditionModel` that works on pixels serves (a latent one would need its autoencoder); texts are left empty.
"""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

import torch
from diffusers.configuration_utils import register_to_config
from diffusers.models.resnet import ResnetBlock2D
from diffusers.models.unets.unet_2d import UNet2DModel
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from torch import Tensor, nn

from video_diffusion.control import LookUp, ReferenceEncoder, later
from video_diffusion.network import FRAME_CONTROLS, REFERENCE_CONTROLS, Painter, as_told, filled, known_where
from video_diffusion.schedule import as_trained, ddim
from vlogger.body.parts import PARTS
from vlogger.checkpoint import Checkpoint
from vlogger.diffusion.blocks import TemporalConv, step_of, zero_
from vlogger.errors import UserError

UNet = UNet2DModel | UNet2DConditionModel
KINDS = {"UNet2DModel": UNet2DModel, "UNet2DConditionModel": UNet2DConditionModel}


class PretrainedPainter(Checkpoint):
    """The same callable as `network.Painter`: `painter(noisy, timestep, condition) -> x0`, with `prepare`.

    `base` and `scheduler` are the configurations of a diffusers U-Net and of the scheduler that it was trained with;
    what it predicts (noise, v or the picture) becomes x0 here. Made by `on_pretrained`, saved and loaded as one.
    """

    @register_to_config
    def __init__(self, base: Mapping[str, Any], scheduler: Mapping[str, Any], parts: int = len(PARTS)):
        super().__init__()
        self.unet = made(base)
        widths = self.unet.config["block_out_channels"]
        self.hint = nn.Conv2d(3 + parts + 3 + 1, widths[0], 3, padding=1)
        self.control = ControlCopy(self.unet, widths[-1])
        self.reference = ReferenceEncoder(3 + 3 + parts, widths, patch=1)
        self.prediction = scheduler.get("prediction_type", "epsilon")
        self.scheduler = as_trained(scheduler)
        self.register_buffer("signal", self.scheduler.alphas_cumprod, persistent=False)

    def forward(self, noisy: Tensor, timestep: Tensor, condition: Mapping[str, Tensor], known: int = 0) -> Tensor:
        """The first `known` frames are there for the others to see; what comes out for them is their `base`."""
        told = condition if "hints" in condition else as_told(self.prepare(condition), condition)
        batch, frames = noisy.shape[:2]
        x, steps = noisy.flatten(0, 1), step_of(timestep, batch, noisy.device).repeat_interleave(frames)
        embedding = embedded(self.unet, steps, x)
        control = self.control(self.unet, x, told["hints"].flatten(0, 1), told["reference"], embedding, frames, known)
        x, steps, embedding = (later(value, frames, known) for value in (x, steps, embedding))
        features = encoded(self.unet, self.unet.conv_in(x), embedding)
        predicted = decoded(self.unet, [own + added for own, added in zip(features, control, strict=True)], embedding)
        painted = self.clean(x, steps, predicted[:, :3]).unflatten(0, (batch, -1))
        return torch.cat([told["base"][:, :known], painted], dim=1)

    def clean(self, noisy: Tensor, steps: Tensor, predicted: Tensor) -> Tensor:
        """x0 from what the base predicts, all (n 3 h w), at the steps (n,)."""
        signal = self.signal[steps.long()].view(-1, 1, 1, 1)
        if self.prediction == "epsilon":
            return (noisy - (1 - signal).sqrt() * predicted) / signal.sqrt()
        if self.prediction == "v_prediction":
            return signal.sqrt() * noisy - (1 - signal).sqrt() * predicted
        return predicted

    def prepare(self, condition: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """As `Painter.prepare`; `base` is the filled warp, which only known frames come out as."""
        known = condition if "reference_map" in condition else self.reference_features(condition)
        batch = condition["warped"].shape[:2]
        stacked = torch.cat([condition[name] for name in FRAME_CONTROLS], dim=2)
        hints = self.hint(stacked.flatten(0, 1)).unflatten(0, batch) + known["reference_map"][:, None]
        base = filled(condition["warped"].flatten(0, 1), known_where(condition["visible"]).flatten(0, 1))
        return {"base": base.unflatten(0, batch), "hints": hints, "reference": known["reference"]}

    def reference_features(self, condition: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The reference picture and its controls, digested once for a whole video."""
        added, tokens = self.reference(torch.cat([condition[name] for name in REFERENCE_CONTROLS], dim=1))
        return {"reference_map": added, "reference": tokens}

    @property
    def reach(self) -> int:
        """Frames to either side that one call lets a frame see: one for each temporal convolution on the way."""
        return len(self.control.timed)


class ControlCopy(nn.Module):
    """A trainable copy of a base's encoder, told everything; its features leave through zero-initialised 1x1."""

    def __init__(self, unet: UNet, width: int):
        super().__init__()
        self.conv_in, self.down_blocks = deepcopy(unet.conv_in), deepcopy(unet.down_blocks)
        self.mid_block = deepcopy(unet.mid_block)
        self.timed = [give_time(resnet) for resnet in self.modules() if isinstance(resnet, ResnetBlock2D)]
        self.look_up = LookUp(width)
        self.zeros = nn.ModuleList([zero_(nn.Conv2d(channels, channels, 1)) for channels in feature_widths(unet)])

    def copy(self, unet: UNet) -> None:
        """Begin with the weights of the base; the temporal convolutions stay zero."""
        for name in ("conv_in", "down_blocks", "mid_block"):
            weights = getattr(unet, name).state_dict()
            own = {key.replace(".norm2.norm.", ".norm2."): key for key in getattr(self, name).state_dict()}
            getattr(self, name).load_state_dict({own[key]: value for key, value in weights.items()}, strict=False)

    def forward(
        self, unet: UNet, x: Tensor, hints: Tensor, reference: Tensor, embedding: Tensor, frames: int, known: int
    ) -> list[Tensor]:
        """Noisy frames (b*t 3 h w) and all that is told of them -> what is added to each feature of the base."""
        for norm in self.timed:
            norm.frames = frames
        features = encoded(self, self.conv_in(x) + hints, embedding, text_width(unet))
        *skips, middle = [later(feature, frames, known) for feature in features]
        features = [*skips, self.look_up(middle, reference)]
        return [zero(feature) for zero, feature in zip(self.zeros, features, strict=True)]


class TimedNorm(nn.Module):
    """A temporal convolution before a block's second GroupNorm (VLOGGER 3.2). diffusers' blocks hand on nothing but the
    pictures, so the length of the clips waits here."""

    def __init__(self, norm: nn.Module, channels: int):
        super().__init__()
        self.temporal, self.norm, self.frames = TemporalConv(channels), norm, 1

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.temporal(x, self.frames) if self.frames > 1 else x)


def give_time(resnet: ResnetBlock2D) -> TimedNorm:
    """Put a temporal convolution, zero at the start, into a residual block."""
    timed = TimedNorm(resnet.norm2, resnet.out_channels)
    resnet.norm2 = timed  # pyright: ignore[reportAttributeAccessIssue]
    return timed


def embedded(unet: UNet, steps: Tensor, x: Tensor) -> Tensor:
    """Diffusion steps (n,) -> the base's embedding (n, e)."""
    return unet.time_embedding(unet.time_proj(steps).to(x.dtype))


def encoded(unet: Any, x: Tensor, embedding: Tensor, text: int | None = None) -> list[Tensor]:
    """The way down of a U-Net, or of a copy, from its first convolution's output: all skips, then the middle."""
    text = text_width(unet) if text is None else text
    features = [x]
    for block in unet.down_blocks:
        x, skips = block(x, embedding, **told(block, x, text))
        features += skips
    return [*features, unet.mid_block(x, embedding, **told(unet.mid_block, x, text))]


def decoded(unet: Any, features: Sequence[Tensor], embedding: Tensor) -> Tensor:
    """The way up: what `encoded` gave -> what the base predicts."""
    *skips, x = features
    for block in unet.up_blocks:
        count = len(block.resnets)
        x = block(x, tuple(skips[-count:]), embedding, **told(block, x, text_width(unet)))
        skips = skips[:-count]
    return unet.conv_out(unet.conv_act(unet.conv_norm_out(x)))


def told(block: nn.Module, x: Tensor, width: int) -> dict[str, Tensor]:
    """An empty text for a block that listens to one."""
    listens = getattr(block, "has_cross_attention", False)
    return {"encoder_hidden_states": x.new_zeros(len(x), 1, width)} if listens else {}


def text_width(unet: UNet) -> int:
    return unet.config.get("cross_attention_dim", 0)


def feature_widths(unet: Any) -> list[int]:
    """Channels of what `encoded` gives."""
    widths = [unet.conv_in.out_channels]
    for block in unet.down_blocks:
        widths += [block.resnets[0].out_channels] * (len(block.resnets) + (block.downsamplers is not None))
    return [*widths, widths[-1]]


def made(config: Mapping[str, Any]) -> UNet:
    """A U-Net of this configuration, with random weights. UserError if it cannot be a base."""
    kind = KINDS.get(config.get("_class_name", ""))
    if kind is None:
        raise UserError(f"{config.get('_class_name')} cannot be the painter's base; give one of {', '.join(KINDS)}.")
    unet = kind.from_config(dict(config))
    assert isinstance(unet, UNet2DModel | UNet2DConditionModel)
    if unet.config["in_channels"] != 3 or unet.config["out_channels"] not in (3, 6):
        raise UserError(
            f"This {config['_class_name']} has {unet.config['in_channels']} channels; the base must work on pixels (3)."
        )
    if unet.mid_block is None or any(hasattr(block, "skip_conv") for block in unet.down_blocks):
        raise UserError("The painter's base must have a middle block and no side path of pictures (skip blocks).")
    return unet


def on_pretrained(unet: str, subfolder: str | None = None, scheduler: str | None = None) -> PretrainedPainter:
    """A painter upon the U-Net in a folder or a repository of the hub (`subfolder` of it), whose weights are frozen.

    `scheduler`: the folder in it that tells the noise it was trained with; None: beside the U-Net's own files.
    """
    place: Any = {"subfolder": subfolder} if subfolder else {}
    noise = scheduler_config(unet, scheduler or subfolder)
    try:
        config: Any = UNet2DModel.load_config(unet, **place)
        painter = PretrainedPainter(base=config, scheduler=noise)
        base = type(painter.unet).from_pretrained(unet, **place)
    except OSError as error:
        raise UserError(f"There is no U-Net in {unet}: {error}") from None
    painter.unet.load_state_dict(base.state_dict())
    painter.control.copy(painter.unet)
    painter.unet.requires_grad_(False)
    return painter


def scheduler_config(unet: str, subfolder: str | None = None) -> Mapping[str, Any]:
    """What the scheduler beside a U-Net says of the noise that it was trained with."""
    place: Any = {"subfolder": subfolder} if subfolder else {}
    try:
        config = DDIMScheduler.load_config(unet, **place)
    except OSError as error:
        raise UserError(f"There is no scheduler beside the U-Net in {unet}: {error}") from None
    assert isinstance(config, Mapping)
    return config


def paper_noise(base: str | None) -> DDIMScheduler:
    """The noise for `paper_painter`: that of the pretrained base, or our own."""
    return ddim() if base is None else as_trained(scheduler_config(base))


def paper_painter(base: str | None, widths: Sequence[int], embedding: int) -> Painter | PretrainedPainter:
    """For the first training: upon a pretrained base (`on_pretrained`), or, without one, all from the beginning."""
    return Painter(widths, embedding) if base is None else on_pretrained(base)
