"""The painter as a stage, with a tiny random network."""

from dataclasses import dataclass

import pytest
import torch
from hydra import compose, initialize_config_module
from hydra.utils import instantiate

from video_diffusion.network import Painter
from video_diffusion.sample import DiffusionPainter, frame_condition, painter_from, reference_condition
from video_diffusion.schedule import ddim
from vlogger.body.parts import PARTS
from vlogger.errors import UserError
from vlogger.stages import ControlsToVideo
from vlogger.types import Controls, seeded

SIZE = 16


@dataclass
class MadeControls:
    """Random controls; remembers which frames were asked for."""

    length: int
    fps: float = 24.0
    size: int = SIZE

    def __post_init__(self):
        generator = torch.Generator().manual_seed(5)
        count = self.length + 1
        draw = lambda channels: torch.rand(count, channels, SIZE, SIZE, generator=generator)  # noqa: E731
        parts, visible = (draw(len(PARTS)) > 0.8).float(), (draw(1) > 0.3).float()
        self.all = Controls(draw(3) * 2 - 1, parts, draw(3) * visible, visible, visible, self.fps)
        self.reference = self.all[count - 1 : count]
        self.photo = draw(3)[0]
        self.asked: list[int] = []

    def __len__(self):
        return self.length

    def __getitem__(self, frames: slice) -> Controls:
        self.asked += range(*frames.indices(self.length))
        return self.all[frames]


def stage(temporal_decoder: bool = False, **settings) -> DiffusionPainter:
    torch.manual_seed(0)
    network = Painter(widths=(16, 32), embedding=16, temporal_decoder=temporal_decoder).eval().requires_grad_(False)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.15)
    return DiffusionPainter(network, ddim(), **{"steps": 2, "window": 6, "overlap": 3, **settings})


def painted(painter: DiffusionPainter, controls: MadeControls, seed: int = 0) -> torch.Tensor:
    return torch.cat([video.frames for video in painter(controls, generator=seeded(seed))])


@pytest.mark.parametrize("length", [1, 5, 6, 7, 13])
def test_as_many_frames_as_controls_each_rendered_once(length):
    controls = MadeControls(length)
    assert painted(stage(), controls).shape == (length, 3, SIZE, SIZE)
    assert controls.asked == list(range(length))


def test_same_seed_same_bytes_other_seed_other_bytes():
    controls = MadeControls(9)
    first = painted(stage(), controls)
    assert torch.equal(first, painted(stage(), controls))
    assert not torch.equal(first, painted(stage(), controls, seed=1))


@pytest.mark.parametrize("temporal_decoder", [False, True])
def test_known_frames_cost_no_base_and_change_nothing(temporal_decoder):
    """The network that skips the known frames paints the others as the one that paints them all."""
    painter, controls = stage(temporal_decoder=temporal_decoder), MadeControls(9)
    told = painter.network.prepare({**frame_condition(controls[0:9]), **reference_condition(controls)})
    noisy, timestep = torch.randn(1, 9, 3, SIZE, SIZE, generator=seeded(1)), torch.tensor([500.0])
    plain, skipping = (painter.network(noisy, timestep, told, known) for known in (0, 4))
    assert torch.allclose(plain[:, 4:], skipping[:, 4:], atol=1e-5)


@pytest.mark.parametrize("overlap", [0, 3, 5])
def test_leaving_out_frames_beyond_the_reach_changes_nothing(overlap, monkeypatch):
    """At an overlap larger than the reach of 3, the painter that is given all known frames is the slow twin."""
    painter, controls = stage(window=8, overlap=overlap, shared=0.2), MadeControls(17)
    fast = painted(painter, controls)
    monkeypatch.setattr(Painter, "reach", 100)
    assert (fast.int() - painted(painter, controls).int()).abs().max() <= 1


@pytest.mark.parametrize(("window", "overlap"), [(6, 3), (6, 5), (4, 0)])
def test_a_painter_that_goes_on_paints_the_same_bytes(window, overlap):
    painter, controls = stage(window=window, overlap=overlap), MadeControls(15)
    clips = [video.frames for video in painter(controls, generator=seeded(0))]
    whole = torch.cat(clips)
    ends = torch.tensor([len(clip) for clip in clips]).cumsum(0).tolist()
    for end in ends:
        rest = painted(painter.going_on(end, whole[:end]), controls) if end < 15 else whole[15:]
        assert torch.equal(rest, whole[end:])


def test_guidance_of_one_is_none_and_more_is_more():
    controls = MadeControls(8)
    plain = painted(stage(), controls)
    assert torch.equal(plain, painted(stage(guidance=1.0), controls))
    assert not torch.equal(plain, painted(stage(guidance=2.0), controls))


def test_half_precision_is_nearly_the_same():
    controls = MadeControls(4)
    exact, half = (painted(stage(precision=kind, steps=1), controls).int() for kind in ("float32", "bfloat16"))
    assert 0 < (exact - half).abs().float().mean() < 2
    with pytest.raises(UserError, match="precision=int8"):
        painted(stage(precision="int8"), controls)


def test_it_is_a_stage():
    assert isinstance(stage(), ControlsToVideo)


@pytest.mark.parametrize("name", ["default", "fast", "paper"])
def test_each_configuration_builds_a_painter_that_paints(name, tmp_path):
    stage().network.save_pretrained(tmp_path)
    with initialize_config_module("conf", version_base="1.3"):
        cfg = compose(overrides=[f"+video={name}", f"video.weights={tmp_path}"]).video
    painter = instantiate(cfg, steps=1)
    assert painted(painter, MadeControls(2)).shape == (2, 3, SIZE, SIZE)


def test_missing_weights_are_named_with_the_cure(monkeypatch, tmp_path):
    monkeypatch.setattr("video_diffusion.sample.EMBEDDED", tmp_path / "weights")
    with pytest.raises(UserError, match="experiment=video_image"):
        painter_from(None, ddim())


def test_saved_and_loaded_painters_paint_the_same(tmp_path):
    painter, controls = stage(), MadeControls(4)
    painter.network.save_pretrained(tmp_path)
    loaded = painter_from(str(tmp_path), ddim(), steps=2, window=6, overlap=3)
    assert torch.equal(painted(painter, controls), painted(loaded, controls))
