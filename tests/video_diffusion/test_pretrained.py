"""Laws of the painter upon a pretrained U-Net of diffusers, on tiny ones with random weights."""

from typing import Any

import pytest
import torch
from diffusers.models.unets.unet_2d import UNet2DModel
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from diffusers.schedulers.scheduling_ddpm import DDPMScheduler
from hydra import compose, initialize_config_module
from hydra.utils import instantiate

from video_diffusion.network import Painter, for_clips, painter_in
from video_diffusion.pretrained import (
    PretrainedPainter,
    embedded,
    encoded,
    on_pretrained,
    paper_painter,
    text_width,
)
from video_diffusion.sample import painter_from
from video_diffusion.schedule import ddim
from vlogger.body.parts import PARTS
from vlogger.errors import UserError
from vlogger.types import Controls, seeded

SHAPE = {"block_out_channels": (16, 32), "layers_per_block": 1, "norm_num_groups": 8, "attention_head_dim": 8}


def plain(**settings) -> UNet2DModel:
    blocks = {"down_block_types": ("DownBlock2D", "AttnDownBlock2D"), "up_block_types": ("AttnUpBlock2D", "UpBlock2D")}
    return UNet2DModel(**{"sample_size": 16, "in_channels": 3, "out_channels": 3, **SHAPE, **blocks, **settings})


def listening(**settings) -> UNet2DConditionModel:
    blocks = {
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
        "cross_attention_dim": 24,
    }
    return UNet2DConditionModel(**{"in_channels": 3, "out_channels": 3, **SHAPE, **blocks, **settings})


def condition(batch: int, frames: int, size: int = 16) -> dict[str, torch.Tensor]:
    generator = seeded(1)
    draw = lambda *shape: torch.rand(*shape, size, size, generator=generator) * 2 - 1  # noqa: E731
    visible = (draw(batch, frames, 1) > 0).float()
    parts, photo_parts = ((draw(*shape, len(PARTS)) > 0.8).float() for shape in ((batch, frames), (batch,)))
    frame = {"surface": draw(batch, frames, 3), "parts": parts, "warped": draw(batch, frames, 3) * visible}
    photo = {"photo": draw(batch, 3), "photo_surface": draw(batch, 3), "photo_parts": photo_parts}
    return {**frame, **photo, "visible": visible}


def inputs(batch: int, frames: int) -> tuple[torch.Tensor, torch.Tensor, dict[str, torch.Tensor]]:
    noisy = torch.randn(batch, frames, 3, 16, 16, generator=seeded(2))
    return noisy, torch.arange(batch) * 300.0 + 100, condition(batch, frames)


class MadeControls:
    """A sequence of random controls."""

    def __init__(self, count: int):
        told = {name: value[0] for name, value in condition(1, count).items()}
        moved, warped = told["visible"], told["warped"] / 2 + 0.5
        self.all = Controls(told["surface"], told["parts"], warped, told["visible"], moved, 24.0)
        self.fps, self.size, self.photo, self.reference = 24.0, 16, told["photo"] / 2 + 0.5, self.all[:1]

    def __len__(self) -> int:
        return len(self.all)

    def __getitem__(self, frames: slice) -> Controls:
        return self.all[frames]


@pytest.fixture(params=[plain, listening])
def folder(request, tmp_path):
    torch.manual_seed(0)
    request.param().save_pretrained(tmp_path)
    DDPMScheduler(beta_schedule="linear").save_pretrained(tmp_path)
    return str(tmp_path)


def own_prediction(painter: PretrainedPainter, noisy: torch.Tensor, timestep: torch.Tensor) -> torch.Tensor:
    """What the base says by itself, frame by frame: x0 by diffusers' own formula."""
    kind: Any = type(painter.unet)
    scheduler: Any = DDIMScheduler.from_config({**painter.config["scheduler"], "clip_sample": False})
    scheduler.set_timesteps(1000)
    text = {"encoder_hidden_states": torch.zeros(1, 1, 24)} if kind is UNet2DConditionModel else {}
    clips = []
    for clip, step in zip(noisy, timestep.long(), strict=True):
        frames = [(frame[None], painter.unet(frame[None], step, **text).sample) for frame in clip]
        clips.append(torch.cat([scheduler.step(eps, int(step), x).pred_original_sample for x, eps in frames]))
    return torch.stack(clips)


def test_at_the_start_the_painter_is_the_pretrained_model(folder):
    """The zero-initialised control changes nothing, whatever is told; a base that predicts noise gives x0."""
    painter = on_pretrained(folder).eval()
    noisy, timestep, told = inputs(2, 3)
    with torch.no_grad():
        painted = painter(noisy, timestep, told)
        assert torch.equal(painted, painter(noisy, timestep, {**told, "photo": -told["photo"]}))
        torch.testing.assert_close(painted, own_prediction(painter, noisy, timestep), atol=1e-4, rtol=1e-3)


def test_the_copy_sees_what_the_base_sees(folder):
    """Before anything is told, the copy's features are the base's: it begins as a copy of the encoder."""
    painter = on_pretrained(folder).eval()
    x, steps = torch.randn(2, 3, 16, 16), torch.tensor([10.0, 900.0])
    with torch.no_grad():
        embedding = embedded(painter.unet, steps, x)
        own = encoded(painter.unet, painter.unet.conv_in(x), embedding)
        copied = encoded(painter.control, painter.control.conv_in(x), embedding, text_width(painter.unet))
    for first, second in zip(own, copied, strict=True):
        assert torch.equal(first, second)


def test_a_training_step_leaves_the_frozen_base_unchanged(folder):
    painter = on_pretrained(folder).train()
    before = {name: parameter.detach().clone() for name, parameter in painter.named_parameters()}
    optimizer = torch.optim.SGD([parameter for parameter in painter.parameters() if parameter.requires_grad], lr=0.1)
    noisy, timestep, told = inputs(1, 2)
    for _ in range(2):  # in the first step only the zero-initialised convolutions move
        optimizer.zero_grad()
        painter(noisy, timestep, told).square().mean().backward()
        optimizer.step()
    moved = {name for name, parameter in painter.named_parameters() if not torch.equal(parameter, before[name])}
    assert not {name for name in moved if name.startswith("unet.")}
    assert {"hint.weight", "control.conv_in.weight", "control.zeros.0.weight", "reference.stem.weight"} <= moved
    assert any(".temporal." in name for name in moved)


def test_a_frame_sees_others_as_far_as_reach_says_and_known_ones_cost_no_base(folder):
    painter = on_pretrained(folder).eval()
    for name, parameter in painter.named_parameters():
        if "zeros" in name or "temporal" in name:
            torch.nn.init.normal_(parameter, std=0.3)
    noisy, timestep, told = inputs(1, 9)
    noisy.requires_grad_()
    painted = painter(noisy, timestep, told)
    painted[:, 0].sum().backward()
    assert noisy.grad is not None
    seen = noisy.grad.abs().amax(dim=(0, 2, 3, 4)) > 0
    assert seen.tolist() == [frame <= painter.reach for frame in range(9)]
    with torch.no_grad():
        skipping = painter(noisy, timestep, told, known=4)
    torch.testing.assert_close(skipping[:, 4:], painted[:, 4:].detach(), atol=1e-3, rtol=1e-3)


def test_it_is_saved_loaded_trained_on_clips_and_sampled_like_the_other(folder, tmp_path):
    painter = on_pretrained(folder).eval()
    painter.save_pretrained(tmp_path / "trained")
    again = painter_in(tmp_path / "trained")
    assert isinstance(again, PretrainedPainter)
    noisy, timestep, told = inputs(1, 2)
    with torch.no_grad():
        assert torch.equal(painter(noisy, timestep, told), again(noisy, timestep, told))
    free = {
        name for name, parameter in for_clips(str(tmp_path / "trained")).named_parameters() if parameter.requires_grad
    }
    assert "control.conv_in.weight" in free and not any(name.startswith("unet.") for name in free)
    with pytest.raises(UserError, match="other noise"):
        painter_from(str(tmp_path / "trained"), ddim())
    stage = painter_from(str(tmp_path / "trained"), None, steps=2, window=6, overlap=3)
    clips = stage(MadeControls(8), generator=seeded(0))
    assert torch.cat([clip.frames for clip in clips]).shape == (8, 3, 16, 16)


def test_what_cannot_be_a_base_is_refused(tmp_path):
    plain(in_channels=4, out_channels=4).save_pretrained(tmp_path)
    DDPMScheduler().save_pretrained(tmp_path)
    with pytest.raises(UserError, match="pixels"):
        on_pretrained(str(tmp_path))
    with pytest.raises(UserError, match="no scheduler beside"):
        on_pretrained(str(tmp_path / "none"))


def test_the_papers_experiment_builds_upon_a_base(folder):
    with initialize_config_module("conf", version_base="1.3"):
        cfg = compose("train", ["experiment=video_paper", "data=nowhere", f"experiment.base={folder}"]).experiment
    painter, noise = instantiate(cfg.module.denoiser), instantiate(cfg.module.scheduler)
    assert isinstance(painter, PretrainedPainter)
    assert torch.equal(noise.alphas_cumprod, DDPMScheduler(beta_schedule="linear").alphas_cumprod)
    assert noise.config["prediction_type"] == "sample"
    assert isinstance(paper_painter(None, (16, 32), 16), Painter)
