"""Clips, augmentation, batches; and that training on them teaches."""

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler

from motion.audio import BINS, SAMPLE_RATE, around, hear
from motion.augment import add_noise, augment, band, equalise, gain, mask_bins, reverberate, vocal_tract
from motion.clips import SPEAKING, load_clip, load_clips, save_clip
from motion.data import AROUND, Recording, SpeechMotion, cut, hush, interpolate, measured_scales, record
from motion.ears import LogMel
from motion.features import EXPRESSIONS, MOUTH, FeatureSpace
from motion.judge import correlation
from motion.lips import lips_on
from motion.loss import MotionLoss, smoothness, velocity
from motion.network import MotionTransformer
from motion.report import Agreement, Preview
from vlogger.body.rotation import axis_angle_to_matrix
from vlogger.body.smplx import load_body
from vlogger.diffusion.loss import noise_levels
from vlogger.errors import UserError
from vlogger.types import Audio, Motion, seeded

SPACE = FeatureSpace(("head",), {}, {"": 0.1})
OFFSETS = (-0.03, 0.0, 0.03)


def speech_motion(folder, **changed) -> SpeechMotion:
    settings = {"size": 2, "speeds": (1.0,), "hush": 0.0, "variants": 2, **changed}
    return SpeechMotion(str(folder), SPACE, LogMel(), OFFSETS, **settings)


def network(**changed) -> MotionTransformer:
    settings = {"width": 32, "layers": 1, "heads": 2, "hears": 80, "offsets": OFFSETS, "dropout": 0.0, **changed}
    return MotionTransformer(joints=("head",), scale={"": 0.1}, **settings)


def clip(seconds: float = 3.0, seed: int = 0) -> tuple[Audio, Motion]:
    """Syllables: noise whose loudness is the jaw."""
    chance, frames = seeded(seed), round(seconds * 25)
    jaw = (0.5 + 0.5 * torch.sin(torch.arange(frames) * 0.6 + 6 * torch.rand((), generator=chance))) * 0.4
    expression = torch.zeros(frames, 52)
    expression[:, 0] = jaw
    loud = torch.nn.functional.interpolate(jaw[None, None], round(seconds * SAMPLE_RATE), mode="linear")[0, 0]
    samples = loud * torch.randn(len(loud), generator=chance).clamp(-2, 2)
    turns = axis_angle_to_matrix(0.05 * torch.randn(frames, 55, 3, generator=chance))
    return Audio(samples, SAMPLE_RATE), Motion(turns, expression, torch.zeros(frames, 3), 25.0)


def spoken(path) -> None:
    chance = np.random.default_rng(0)
    samples = (3000 * chance.standard_normal(24000)).astype(np.int16)
    np.savez(path, samples=samples, sample_rate=24000, phones=["", "m", "a", ""], ends=[0.2, 0.4, 0.7, 1.0])


@pytest.fixture
def folder(tmp_path):
    for number in range(3):
        save_clip(tmp_path / f"tracked{number}.npz", *clip(seed=number))
    (tmp_path / "deeper").mkdir()
    spoken(tmp_path / "deeper" / "spoken.npz")
    return tmp_path


def test_clips_come_back(folder):
    audio, motion = clip(seed=1)
    again = load_clip(folder / "tracked1.npz")
    assert not again.spoken and again.duration == 3
    torch.testing.assert_close(again.motion.rotations, motion.rotations)
    torch.testing.assert_close(again.samples, audio.samples.clamp(-1, 1), atol=1e-4, rtol=0)
    clips = load_clips(folder)
    assert [c.spoken for c in clips] == [True, False, False, False]
    assert clips[0].known(SPACE).sum() == len(MOUTH) and clips[1].known(SPACE).all()


def test_the_silent_face_is_the_rest(tmp_path):
    audio, motion = clip(seed=1)
    motion.expression[:, 5] = 0.4  # a trait
    audio.samples[: SAMPLE_RATE // 2] = 0
    audio.samples[-SAMPLE_RATE // 2 :] = 0
    motion.expression[:12, 0] = motion.expression[-13:, 0] = 0.03
    save_clip(tmp_path / "clip.npz", audio, motion)
    again = load_clip(tmp_path / "clip.npz")
    torch.testing.assert_close(again.rest[[0, 5]], torch.tensor([0.03, 0.4]), atol=1e-3, rtol=0)
    assert again.features(SPACE, 0)[:, 5].abs().max() < 1e-5


def test_blinks_of_narrow_eyes_close(tmp_path):
    for number, strength in enumerate((0.4, 0.3)):
        audio, motion = clip(seed=number)
        motion.expression[30:34, 28:30] = strength
        save_clip(tmp_path / f"{number}.npz", audio, motion)
    clips = load_clips(tmp_path)
    peaks = [float(c.motion.expression[:, 28].max()) for c in clips]
    assert peaks == pytest.approx([0.95, 0.95 * 0.75], abs=0.01), "one factor for all clips of the folder"
    assert torch.equal(load_clips(tmp_path, closed=False)[0].motion.expression[:, 0], clip(seed=0)[1].expression[:, 0])


def test_a_mouth_begins_at_closed_lips(tmp_path):
    """Somebody whose lips rest apart and who opens and closes them sideways: as told, they do the same from shut."""
    lips, jaw, close, left = lips_on(load_body()), 0, EXPRESSIONS.index("mouthClose"), EXPRESSIONS.index("mouthLeft")
    audio, motion = clip()
    motion.expression[:, close] = 0.3 * motion.expression[:, jaw].flip(0)
    motion.expression[:, jaw] += 0.15
    motion.expression[:, left] = 0.2
    save_clip(tmp_path / "clip.npz", audio, motion)
    tracked, told = load_clips(tmp_path, closed=False)[0], load_clips(tmp_path)[0]
    was, shown = (lips(one.motion.expression)[:, 0] for one in (tracked, told))
    assert (tracked.motion.expression - tracked.rest).min() < -0.05, "nobody can show that"
    assert told.motion.expression.min() >= 0 and not (told.rest * SPEAKING).any()
    shut = float(lips(torch.zeros(52))[0])
    assert shown.min() == pytest.approx(shut, abs=1e-3)
    torch.testing.assert_close(shown - shut, (was - was.quantile(0.05)).clamp(min=0), atol=2e-3, rtol=0)
    assert not told.motion.expression[:, left].any(), "crooked is the speaker, not the speech"


def test_other_files_are_refused(tmp_path):
    with pytest.raises(UserError, match="no motion clips"):
        load_clips(tmp_path)
    np.savez(tmp_path / "x.npz", a=1)
    with pytest.raises(UserError, match="not a training clip"):
        load_clips(tmp_path)


@pytest.mark.parametrize("change", [gain, equalise, band, reverberate, add_noise, augment, mask_bins, vocal_tract])
def test_augmentation_keeps_length_and_is_repeatable(change):
    power = torch.rand(57, BINS, generator=seeded(0))
    changed, again = change(power, seeded(3)), change(power, seeded(3))
    assert changed.shape == power.shape and torch.equal(changed, again) and changed.isfinite().all()
    if change is not mask_bins:
        assert (changed >= 0).all()


def test_another_throat_moves_a_formant_but_not_in_time():
    power = torch.full((50, 80), 1e-6)
    power[20:, 40] = 1.0
    places = {int(vocal_tract(power, seeded(seed))[30].argmax()) for seed in range(12)}
    assert len(places) > 3 and min(places) >= 33 and max(places) <= 46
    assert float(vocal_tract(power, seeded(1))[:20].max()) < 1e-5


def test_augmentation_keeps_the_onset():
    power = torch.zeros(100, BINS)
    power[40:60] = 1.0
    for seed in range(20):
        assert int(augment(power, seeded(seed)).mean(1).diff().argmax()) == 39


def test_interpolation_hits_the_samples_and_holds_the_ends():
    values = torch.arange(5.0)[:, None]
    places = torch.tensor([-1.0, 0.5, 1.0, 2.5, 4.5, 9.0], dtype=torch.float64)
    torch.testing.assert_close(interpolate(values, places)[:, 0], torch.tensor([0.0, 0.0, 0.5, 2.0, 4.0, 4.0]))


def test_cut_fills_with_nothing():
    power = torch.ones(100, BINS)
    assert cut(power, -0.5, 2.0).sum(1).nonzero().flatten().tolist() == list(range(50, 150))
    assert cut(power, 5.0, 1.0).shape == (100, BINS) and cut(power, -9.0, 1.0).sum() == 0


def test_sound_and_motion_stay_together_at_every_speed(folder):
    task = speech_motion(folder, drawn=0.0)
    source = load_clip(folder / "tracked1.npz")
    for speed in (0.8, 1.0, 1.25):
        recording: Recording = record(source, speed, LogMel(), 1, seeded(0))
        assert abs((len(recording.heard[0]) - 1) / 100 - 2 * AROUND - recording.duration) < 0.02
        row = task.row(recording, 60, 24.0, False, seeded(2))
        loud = row.audio.unflatten(1, (len(OFFSETS), BINS))[:, 1].mean(1)
        inside = row.weight[:, -1] > 0
        assert correlation(row.features[inside, 0], loud[inside]) > 0.8


def test_batches_are_repeatable_and_masked(folder):
    task = speech_motion(folder, size=6, shortest=20, longest=30, hush=0.3)
    first, again = task.batch(seeded(1)), task.batch(seeded(1))
    assert torch.equal(first.clean, again.clean)
    assert all(torch.equal(value, again.condition[name]) for name, value in first.condition.items())
    assert 20 <= first.clean.shape[1] <= 30
    assert (first.weight * first.condition["given"] == 0).all(), "what is given is not asked for"
    assert all(len(batch.clean) for batch in task.validation())


@pytest.mark.parametrize("kind", ["phones", "mouth"])
def test_a_spoken_clip_teaches_the_mouth_and_chance_the_rest(tmp_path, kind):
    if kind == "phones":
        spoken(tmp_path / "spoken.npz")
    else:
        mouth = np.zeros((50, 52), np.float32)
        mouth[:, 0] = 0.3
        noise = (3000 * np.random.default_rng(0).standard_normal(16000)).astype(np.int16)
        np.savez(tmp_path / "read.npz", samples=noise, sample_rate=16000, expression=mouth, fps=50.0)
    task = speech_motion(tmp_path, size=3, shortest=40, longest=40)
    assert task.recordings[0].clip.known(SPACE).sum() == len(MOUTH)
    batch = task.batch(seeded(0))
    turn = SPACE.names.index("head.x")
    assert batch.clean[..., turn].std() > 0.02 and batch.clean[..., 0].max() > 0.5


def test_where_nobody_speaks_the_mouth_is_closed_and_counts_more(tmp_path):
    audio, motion = clip()
    audio.samples[SAMPLE_RATE:] = 0
    save_clip(tmp_path / "clip.npz", audio, motion)
    task = speech_motion(tmp_path, drawn=0.0, quiet=3.0)
    recording = task.recordings[0]
    times = torch.arange(75).double() / 25 + 0.02
    features = torch.ones(75, SPACE.size)
    closed, weight = task.close(recording, times, features, torch.ones_like(features))
    assert closed[5:25, 0].min() > 0.9 and closed[40:, 0].abs().max() == 0
    assert (weight[40:, 0] == 3).all() and (weight[5:25, 0] == 1).all()
    assert (closed[:, -1] == 1).all() and (weight[:, -1] == 1).all(), "the head goes on"


def test_noise_alone_is_not_speech(tmp_path):
    save_clip(tmp_path / "clip.npz", *clip())
    task = speech_motion(tmp_path, hush=1.0, size=4)
    batch = task.batch(seeded(0))
    assert batch.clean[..., SPACE.only(MOUTH) > 0].abs().max() == 0
    assert batch.condition["audio"].std() > 0.05, "but something is heard"
    assert hush(seeded(0)).spoken


def test_what_the_ear_heard_is_kept_in_a_file(folder, tmp_path_factory):
    file = tmp_path_factory.mktemp("cache") / "heard.pt"
    first = speech_motion(folder, cache=str(file))
    again = speech_motion(folder, cache=str(file))
    assert torch.equal(first.batch(seeded(0)).condition["audio"], again.batch(seeded(0)).condition["audio"])
    other = speech_motion(folder, cache=str(file), speeds=(1.2,))
    assert other.recordings[0].duration < first.recordings[0].duration


def test_temporal_losses_equal_loops():
    chance = seeded(0)
    made, true = (torch.randn(2, 5, 3, generator=chance) for _ in range(2))
    weight = (torch.rand(2, 5, 3, generator=chance) > 0.3).float()
    for loss, target in ((smoothness, 0 * true), (velocity, true)):
        total = count = 0.0
        for b in range(2):
            for t in range(4):
                for d in range(3):
                    w = float(weight[b, t, d] * weight[b, t + 1, d])
                    total += (
                        w * float((made[b, t + 1, d] - made[b, t, d]) - (target[b, t + 1, d] - target[b, t, d])) ** 2
                    )
                    count += w
        torch.testing.assert_close(float(loss(made, true, weight)), total / count, atol=1e-5, rtol=1e-5)


def test_loss_weights_face_and_body_apart():
    made, true = torch.randn(1, 6, SPACE.size, generator=seeded(0)), torch.zeros(1, 6, SPACE.size)
    parts = MotionLoss(SPACE, 2.0, 3.0)(made, true, torch.ones_like(made))
    expected = parts["diff"] + 2 * parts["temporal_face"] + 3 * parts["temporal_body"]
    torch.testing.assert_close(parts["loss"], expected)
    made[..., SPACE.face] = 0
    assert MotionLoss(SPACE, 2.0, 3.0)(made, true, torch.ones_like(made))["temporal_face"] == 0


def test_where_eyes_look_counts():
    """Eyes that turn against the head look where they looked; the same turn of the eyes alone looks aside."""
    space = FeatureSpace(
        ("neck", "head", "left_eye", "right_eye"), {}, {"head.y": 0.05, "left_eye.y": 0.09, "right_eye.y": 0.09}
    )
    eyes, head = [space.names.index(f"{side}_eye.y") for side in ("left", "right")], space.names.index("head.y")
    true, against = torch.zeros(2, 1, 4, space.size)
    against[..., eyes], against[..., head] = 0.1 / 0.09, -0.1 / 0.05
    aside = against.clone()
    aside[..., head] = 0
    parts = [MotionLoss(space, 0, 0, lambda_gaze=2.0)(one, true, torch.ones_like(one)) for one in (against, aside)]
    assert parts[0]["gaze"] < 1e-10
    torch.testing.assert_close(parts[1]["gaze"], torch.tensor((0.1 / 0.058) ** 2 / 2))  # sideways, not down
    torch.testing.assert_close(parts[1]["loss"], parts[1]["diff"] + 2 * parts[1]["gaze"])


def test_lips_count_together():
    """Units that undo each other change no lips; the same units that add up do."""
    space, lips = FeatureSpace(), lips_on(load_body())
    jaw, close = EXPRESSIONS.index("jawOpen"), EXPRESSIONS.index("mouthClose")
    true, made = torch.zeros(2, 1, 4, space.size)
    opens = lips.units[0, 1] - lips.units[1, 1]
    ratio = -float(opens[jaw] / opens[close])
    undone, added = made.clone(), made.clone()
    undone[..., jaw], undone[..., close], added[..., jaw] = 0.2, 0.2 * ratio, 0.2
    parts = [
        MotionLoss(space, 0, 0, lips=lips, lambda_lips=2.0)(one, true, torch.ones_like(one)) for one in (undone, added)
    ]
    assert parts[0]["lips"] < 0.2 * parts[1]["lips"] and parts[1]["lips"] > 0.5
    torch.testing.assert_close(parts[1]["loss"], parts[1]["diff"] + 2 * parts[1]["lips"])


def test_scales_are_root_mean_squares(folder):
    task = speech_motion(folder, size=8, spoken=0.0)
    clean = torch.cat([task.batch(seeded(seed)).clean[..., 0].flatten() for seed in range(8)])
    assert measured_scales(task)["jawOpen"] == pytest.approx(0.1 * float(clean.square().mean().sqrt()), rel=0.15)


def test_a_tiny_network_learns_a_tiny_batch(folder):
    task = speech_motion(folder, size=4, shortest=40, longest=40, spoken=0.0, drawn=0.0)
    torch.manual_seed(0)
    learner = network()
    scheduler = DDIMScheduler(beta_schedule="squaredcos_cap_v2", prediction_type="sample", clip_sample=False)
    loss, optimizer = MotionLoss(SPACE, 0.5, 0.5), torch.optim.Adam(learner.parameters(), 3e-3)
    batch, chance, history = task.batch(seeded(0)), seeded(1), []
    for _ in range(60):
        step = noise_levels(4, scheduler, chance)
        noisy = scheduler.add_noise(batch.clean, torch.randn(batch.clean.shape, generator=chance), step)  # type: ignore[arg-type]
        value = loss(learner(noisy, step, batch.condition), batch.clean, batch.weight)["loss"]
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        history.append(float(value.detach()))
    assert sum(history[-10:]) < 0.5 * sum(history[:10])


def test_reports(folder):
    task = speech_motion(folder, size=4, spoken=0.0, drawn=0.0)
    batch = task.validation()[0]
    assert Agreement(SPACE)(batch.clean, batch)["r_open"] > 0.5
    assert abs(float(Agreement(SPACE)(torch.zeros_like(batch.clean), batch)["r_open"])) < 1e-3
    scheduler = DDIMScheduler(prediction_type="sample", clip_sample=False)
    picture = Preview(scheduler, steps=1)(network().eval(), task)
    assert picture.shape[0] == 3 and picture.min() >= 0 and picture.max() <= 1


def test_hearing_is_the_same_in_training_and_in_use(folder):
    """The row's sound of an unchanged recording is what the stage would hear."""
    task = speech_motion(folder)
    source = load_clip(folder / "tracked0.npz")
    times = torch.arange(10).double() / 25 + 0.5
    row = task.sound(record(source, 1.0, LogMel(), 1, seeded(0)), times, False, seeded(0))
    used = around(hear(source.samples, SAMPLE_RATE), 100.0, times, OFFSETS, LogMel().silence)
    torch.testing.assert_close(row, used, atol=0.1, rtol=0)
