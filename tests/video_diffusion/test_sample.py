"""The painter as a stage, with a tiny random network."""

from dataclasses import dataclass

import pytest
import torch
from hydra import compose, initialize_config_module
from hydra.utils import instantiate

from video_diffusion.network import Painter
from video_diffusion.outpaint import Window
from video_diffusion.sample import Conditions, DiffusionPainter, painter_from, reference_condition
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


def stage(**settings) -> DiffusionPainter:
    torch.manual_seed(0)
    network = Painter(widths=(16, 32), embedding=16).eval()
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


def test_known_frames_stand_exactly():
    painter, controls = stage(), MadeControls(6)
    known = torch.rand(3, 3, SIZE, SIZE, generator=seeded(1)) * 2 - 1
    with torch.inference_mode():
        reference = painter.network.reference_features(reference_condition(controls))
        conditions = Conditions(painter.network, controls, reference)
        conditions(Window(0, 0, 3))
        frames = painter.paint(conditions, 0, Window(0, 3, 6), known)
    assert torch.equal(frames[:3], known)
    assert (frames[3:] - frames[:3]).abs().max() > 0.1


def test_known_frames_farther_than_the_network_reaches_change_nothing():
    painter = stage()
    network, reach = painter.network, painter.network.reach
    controls, known = MadeControls(12), torch.rand(8, 3, SIZE, SIZE, generator=seeded(1)) * 2 - 1
    near, far = known.clone(), known.clone()
    far[: 8 - reach] *= -1
    near[-1] *= -1
    with torch.inference_mode():
        reference = network.reference_features(reference_condition(controls))
        plain, changed_far, changed_near = (
            repainted(painter, Conditions(network, controls, reference), given) for given in (known, far, near)
        )
    assert torch.allclose(plain, changed_far, atol=1e-6)
    assert (plain - changed_near).abs().max() > 1e-4


def repainted(painter: DiffusionPainter, conditions: Conditions, known: torch.Tensor) -> torch.Tensor:
    """The frames after the known ones."""
    conditions(Window(0, 0, len(known)))
    return painter.paint(conditions, 0, Window(0, len(known), 12), known)[len(known) :]


def test_it_is_a_stage():
    assert isinstance(stage(), ControlsToVideo)


@pytest.mark.parametrize("name", ["default", "paper"])
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
