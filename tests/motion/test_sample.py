"""The stage: lengths, determinism, continuation, the perfect network."""

import dataclasses

import pytest
import torch
from diffusers import DDIMScheduler

from motion.audio import around, hear
from motion.ears import LogMel
from motion.features import Reference, to_motion
from motion.judge import Judge
from motion.network import MotionTransformer
from motion.sample import DiffusionMotion, Listener, window_noise
from motion.steering import Blink, Emotion, Gaze, Head
from vlogger.body.rotation import axis_angle_to_matrix
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


JOINTS = ("neck", "head", "left_eye", "right_eye")


def tiny() -> MotionTransformer:
    torch.manual_seed(0)
    network = MotionTransformer(
        width=32,
        layers=1,
        heads=2,
        dropout=0.0,
        reach=12,
        hears=80,
        offsets=(0.0, 0.05),
        scale={"": 0.1},
        joints=JOINTS,
    )
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


class Perfect(MotionTransformer):
    """Knows the truth: a function of the time of each frame and of nothing else."""

    def remember(self, noisy, timestep, condition, memories):
        _, kept = super().remember(noisy, timestep, condition, memories)
        count = 0.001 * (condition["time"] * 25).round()[..., None].float() + 0.1
        return torch.cat([count, torch.zeros_like(noisy[..., 1:])], dim=-1), kept


@pytest.mark.parametrize(
    ("seconds", "fps", "rate"), [(0.01, 24, 16000), (1.019, 25, 44100), (3.7, 29.97, 8000), (6.05, 24, 22050)]
)
def test_exact_frame_count(seconds, fps, rate):
    audio = sound(seconds, rate)
    stage = DiffusionMotion(tiny(), LogMel(), scheduler(), steps=1, guidance=1, fps=fps, chunk=30)
    motion = stage(audio, subject(), generator=seeded(0))
    assert isinstance(stage, AudioToMotion)
    assert len(motion) == frame_count(audio.duration, fps) and motion.fps == fps


def test_same_seed_same_bytes_other_seed_other_motion():
    stage = DiffusionMotion(tiny(), LogMel(), scheduler(), steps=2, chunk=20)
    first, again, other = (stage(sound(2), subject(), generator=seeded(seed)) for seed in (5, 5, 6))
    assert first.expression.numpy().tobytes() == again.expression.numpy().tobytes()
    assert first.rotations.numpy().tobytes() == again.rotations.numpy().tobytes()
    assert (first.expression - other.expression).abs().max() > 1e-4


@pytest.mark.parametrize("steps", [1, 3, 8])
def test_a_perfect_network_is_reproduced_across_chunks(steps):
    network = Perfect(width=32, layers=1, heads=2, dropout=0.0, hears=80, offsets=(0.0,), scale={"": 1.0})
    stage = DiffusionMotion(network, LogMel(), scheduler(), steps=steps, guidance=2.0, fps=25, chunk=14)
    motion = stage(sound(2.4), subject(), generator=seeded(0))
    truth = torch.zeros(60, network.space.size)
    truth[:, 0] = 0.001 * (torch.arange(60) + 0.5).round() + 0.1
    rest = Reference(subject().rotations, subject().expression, subject().translation)
    made, wanted = (m.expression[:, 0] for m in (motion, to_motion(network.space, truth, rest, 25.0)))
    torch.testing.assert_close(made, wanted, atol=2e-3, rtol=0)


def test_pieces_come_as_they_are_made_and_equal_the_whole():
    stage = DiffusionMotion(tiny(), LogMel(), scheduler(), steps=2, chunk=20)
    pieces = stage.stream(sound(3), subject(), generator=seeded(3))
    first = next(pieces)
    assert len(first) == 20
    whole = stage(sound(3), subject(), generator=seeded(3))
    joined = torch.cat([first.expression, *(piece.expression for piece in pieces)])
    assert torch.equal(joined, whole.expression)


def test_the_memory_does_not_grow(monkeypatch):
    network, seen = tiny(), []
    remember = network.remember

    def watched(noisy, timestep, condition, memories):
        seen.append((noisy.shape[1], memories[0].keys.shape[2] if memories else 0))
        return remember(noisy, timestep, condition, memories)

    monkeypatch.setattr(network, "remember", watched)
    DiffusionMotion(network, LogMel(), scheduler(), steps=1, chunk=20)(sound(12), subject(), generator=seeded(0))
    assert max(frames for frames, _ in seen) == 20 and max(before for _, before in seen) == 11


def test_a_listener_forgets_and_hears_the_same():
    samples = sound(65).samples
    listener, features = Listener(LogMel(), samples), hear(samples, 16000)
    for start in range(0, 64, 2):
        times = torch.arange(50).double() / 25 + start
        expected = around(features, 100.0, times, (-0.1, 0.1), LogMel().silence)
        torch.testing.assert_close(listener.around(times, (-0.1, 0.1)), expected, atol=1e-5, rtol=0)
    assert len(listener.features) < 4000


def test_the_best_of_three_is_what_the_judge_likes():
    judge = Judge(torch.randn(160, 2, generator=seeded(9)))

    def score(count: int) -> float:
        stage = DiffusionMotion(
            tiny(), LogMel(), scheduler(), steps=1, guidance=1, chunk=200, best_of=count, judge=judge
        )
        motion = stage(sound(3), subject(), generator=seeded(0))
        heard = around(
            hear(sound(3).samples, 16000), 100.0, (torch.arange(72) + 0.5) / 24, (0.0, 0.05), LogMel().silence
        )
        features = torch.cat([motion.expression, torch.zeros(72, tiny().space.size - 52)], dim=1)
        return float(judge(tiny().space, heard, features[None]))

    assert score(6) > score(1)
    with pytest.raises(UserError, match="judge"):
        DiffusionMotion(tiny(), LogMel(), scheduler(), best_of=2)


def test_steering_reaches_the_motion():
    plain, steered = (
        DiffusionMotion(tiny(), LogMel(), scheduler(), steps=1, chunk=20, **more)(
            sound(3), subject(), generator=seeded(0)
        )
        for more in (
            {},
            {"head": Head(0.0), "gaze": Gaze("fixed"), "blink": Blink(30.0), "emotion": Emotion("happy", 1.0)},
        )
    )
    assert torch.equal(steered.rotations, torch.eye(3).expand(72, 55, 3, 3))
    assert (plain.rotations - torch.eye(3)).abs().max() > 0.01
    happy = steered.expression[-1] - plain.expression[-1]
    assert float(happy[4]) > 0.2, "mouthSmileLeft"


def test_a_body_with_other_expressions_is_refused():
    stage = DiffusionMotion(tiny(), LogMel(), scheduler())
    with pytest.raises(UserError, match="body"):
        stage(sound(1), subject(expressions=10), generator=seeded(0))


def test_an_ear_that_the_weights_do_not_know_is_refused():
    network = MotionTransformer(width=32, layers=1, heads=2, hears=7)
    with pytest.raises(UserError, match="hear 7"):
        DiffusionMotion(network, LogMel(), scheduler())


def test_the_motion_starts_where_the_portrait_is():
    """Given frames of rest reach the network: an echo of the past stays at rest."""

    class Echo(Perfect):
        def remember(self, noisy, timestep, condition, memories):
            _, kept = MotionTransformer.remember(self, noisy, timestep, condition, memories)
            if memories is not None:
                seen.append(memories[0].keys.shape[2])
            return torch.zeros_like(noisy), kept

    seen: list[int] = []
    echo = Echo(width=32, layers=1, heads=2, dropout=0.0, hears=80, offsets=(0.0,))
    turned = dataclasses.replace(subject(), translation=torch.tensor([0.1, 0.2, -2.0]))
    stage = DiffusionMotion(echo, LogMel(), scheduler(), steps=2, guidance=1)
    motion = stage(sound(1), turned, generator=seeded(0))
    torch.testing.assert_close(motion.translation, turned.translation.expand(24, 3))
    torch.testing.assert_close(motion.rotations, turned.rotations.expand(24, 55, 3, 3))
    assert set(seen) == {10}, "0.4 s of rest are remembered"


def test_noise_has_variance_one_and_its_shared_part():
    noise = torch.cat([window_noise(50, 20, 0.3, seeded(seed)) for seed in range(200)])
    assert abs(float(noise.var()) - 1) < 0.02
    assert abs(float(noise.mean(1).var()) - (0.3 + 0.7 / 50)) < 0.02
    assert window_noise(5, 2, 1.0, seeded(0)).diff(dim=1).abs().max() == 0


def test_without_residuals_a_motion_starts_in_the_pose_of_the_photo():
    space, turned = tiny().space, dataclasses.replace(subject(), rotations=axis_angle_to_matrix(torch.ones(55, 3) / 9))
    stage = DiffusionMotion(tiny(), LogMel(), scheduler(), steps=1, fps=25)
    absolute = dataclasses.replace(space, residual=False)
    for one in (space, absolute):
        rest = stage.rest(one, turned)
        back = to_motion(one, rest, turned, 25.0)
        torch.testing.assert_close(back.rotations, turned.rotations.expand(len(rest), 55, 3, 3), atol=1e-5, rtol=0)


def test_temperature_makes_the_noise_of_some_features_larger(monkeypatch):
    """What the network is given at first: the same noise, but for what is warmer."""
    given = []

    def first(denoiser, scheduler, noise, condition, steps):
        given.append(noise)
        return torch.zeros_like(noise)

    monkeypatch.setattr("motion.sample.sample", first)
    for temperature in (None, {"eye": 1.5, "eyeBlink": 2.0}):
        stage = DiffusionMotion(tiny(), LogMel(), scheduler(), steps=1, temperature=temperature)
        stage(sound(0.5), subject(), generator=seeded(3))
    ratio, names = given[1] / given[0], tiny().space.names
    wanted = [2.0 if name.startswith("eyeBlink") else 1.5 if name.startswith("eye") else 1.0 for name in names]
    torch.testing.assert_close(ratio, torch.tensor(wanted).expand_as(ratio))
