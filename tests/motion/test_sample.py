"""The stage: lengths, determinism, continuation, the perfect network."""

import dataclasses

import pytest
import torch
from diffusers import DDIMScheduler

from motion.features import Reference, to_motion
from motion.network import MotionTransformer
from motion.sample import DiffusionMotion, window_noise
from vlogger.errors import UserError
from vlogger.stages import AudioToMotion
from vlogger.types import Audio, Portrait, Subject, frame_count, seeded


def scheduler() -> DDIMScheduler:
    return DDIMScheduler(
        beta_schedule="squaredcos_cap_v2",
        prediction_type="sample",
        clip_sample=False,
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
    )


def tiny() -> MotionTransformer:
    torch.manual_seed(0)
    network = MotionTransformer(width=32, layers=1, heads=2, dropout=0.0, scale={"": 0.1})
    torch.nn.init.normal_(network.head.weight, std=0.1)
    return network.eval()


def subject(expressions: int = 52) -> Subject:
    return Subject(
        Portrait(torch.zeros(3, 8, 8, dtype=torch.uint8)),
        torch.zeros(10),
        torch.eye(3).repeat(55, 1, 1),
        torch.zeros(expressions),
        torch.tensor([0.0, 0.0, -1.0]),
        torch.eye(3),
    )


def sound(seconds: float, rate: int = 16000) -> Audio:
    return Audio(0.1 * torch.randn(round(seconds * rate), generator=seeded(1)), rate)


class Perfect(torch.nn.Module):
    """Knows the truth: a function of the time of each frame and of nothing else."""

    space = tiny().space

    def forward(self, noisy, timestep, condition):
        first = condition["past"][:, :1, :1]  # feature 0 counts frames; the given ones tell where the window is
        count = first + 0.01 * (condition["time"] * 25).round()[..., None]
        return torch.cat([count, torch.zeros_like(noisy[..., 1:])], dim=-1)


@pytest.mark.parametrize(
    ("seconds", "fps", "rate"), [(0.01, 24, 16000), (1.019, 25, 44100), (3.7, 29.97, 8000), (6.05, 24, 22050)]
)
def test_exact_frame_count(seconds, fps, rate):
    audio = sound(seconds, rate)
    stage = DiffusionMotion(tiny(), scheduler(), steps=1, guidance=1, fps=fps, window=40, overlap=10)
    motion = stage(audio, subject(), generator=seeded(0))
    assert isinstance(stage, AudioToMotion)
    assert len(motion) == frame_count(audio.duration, fps) and motion.fps == fps


def test_same_seed_same_bytes_other_seed_other_motion():
    stage = DiffusionMotion(tiny(), scheduler(), steps=2, window=30, overlap=10)
    first, again, other = (stage(sound(2), subject(), generator=seeded(seed)) for seed in (5, 5, 6))
    assert first.expression.numpy().tobytes() == again.expression.numpy().tobytes()
    assert first.rotations.numpy().tobytes() == again.rotations.numpy().tobytes()
    assert (first.expression - other.expression).abs().max() > 1e-4


@pytest.mark.parametrize("steps", [1, 3, 8])
def test_a_perfect_network_is_reproduced_across_windows(steps):
    network = Perfect()
    stage = DiffusionMotion(network, scheduler(), steps=steps, guidance=2.0, fps=25, window=20, overlap=6)  # type: ignore[arg-type]
    motion = stage(sound(2.4), subject(), generator=seeded(0))
    space = network.space
    truth = torch.zeros(60, space.size)
    truth[:, 0] = 0.01 * torch.arange(6, 66)  # six frames of rest are counted before the first
    rest = Reference(subject().rotations, subject().expression, subject().translation)
    torch.testing.assert_close(motion.expression, to_motion(space, truth, rest, 25.0).expression, atol=1e-5, rtol=0)


def test_windows_do_not_see_the_hour_before(monkeypatch):
    network, seen = tiny(), []
    forward = network.forward
    monkeypatch.setattr(network, "forward", lambda x, t, c: seen.append(x.shape[1]) or forward(x, t, c))
    DiffusionMotion(network, scheduler(), steps=1, guidance=1, window=30, overlap=10)(
        sound(12), subject(), generator=seeded(0)
    )
    assert max(seen) == 30 and len(seen) == 15  # 288 frames, 20 new ones a window after the first


def test_a_body_with_other_expressions_is_refused():
    stage = DiffusionMotion(tiny(), scheduler())
    with pytest.raises(UserError, match="body"):
        stage(sound(1), subject(expressions=10), generator=seeded(0))
    with pytest.raises(UserError, match="overlap"):
        DiffusionMotion(tiny(), scheduler(), window=10, overlap=10)


def test_the_motion_starts_where_the_portrait_is():
    """Given frames of rest reach the network: an echo of the past stays at rest."""

    class Echo(Perfect):
        def forward(self, noisy, timestep, condition):
            return condition["past"][:, :1].expand_as(noisy)

    turned = dataclasses.replace(subject(), translation=torch.tensor([0.1, 0.2, -2.0]))
    stage = DiffusionMotion(Echo(), scheduler(), steps=2, guidance=1)  # type: ignore[arg-type]
    motion = stage(sound(1), turned, generator=seeded(0))
    torch.testing.assert_close(motion.translation, turned.translation.expand(24, 3))
    torch.testing.assert_close(motion.rotations, turned.rotations.expand(24, 55, 3, 3))


def test_noise_has_variance_one_and_its_shared_part():
    noise = torch.cat([window_noise(50, 20, 0.3, seeded(seed)) for seed in range(200)])
    assert abs(float(noise.var()) - 1) < 0.02
    assert abs(float(noise.mean(1).var()) - (0.3 + 0.7 / 50)) < 0.02
    assert window_noise(5, 2, 1.0, seeded(0)).diff(dim=1).abs().max() == 0
