"""Lessons from a big encoder, and mouths read off them, with a tiny random one."""

import numpy as np
import pytest
import torch
from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2Model

from motion import label
from motion.audio import SAMPLE_RATE
from motion.clips import load_clip, save_clip
from motion.distil import Distillation, Lessons, agreement, picture
from motion.encoder import SpeechEncoder
from motion.features import EXPRESSIONS
from motion.pretrained import PretrainedEncoder
from motion.teacher import PLACES, basis_of, files_of, groups, projected, teach
from vlogger.diffusion.batch import Batch
from vlogger.diffusion.loss import squared
from vlogger.errors import UserError
from vlogger.io_audio import save_audio
from vlogger.training import step_generator
from vlogger.types import Audio, Motion, seeded


@pytest.fixture(scope="module")
def encoder(tmp_path_factory) -> PretrainedEncoder:
    path = tmp_path_factory.mktemp("encoder")
    torch.manual_seed(0)
    config = Wav2Vec2Config(
        hidden_size=128, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16, conv_dim=(8,) * 7,
        num_conv_pos_embeddings=8,
    )  # fmt: skip
    Wav2Vec2Model(config).save_pretrained(path)
    Wav2Vec2FeatureExtractor().save_pretrained(path)
    return PretrainedEncoder(path, layers=(1, 2))


@pytest.fixture(scope="module")
def lessons(encoder, tmp_path_factory):
    sounds, out = tmp_path_factory.mktemp("sounds"), tmp_path_factory.mktemp("lessons")
    for number in range(3):
        noise = 0.2 * torch.randn(8 * SAMPLE_RATE, generator=seeded(number))
        save_audio(sounds / f"s{number}.wav", Audio(noise, SAMPLE_RATE))
    teach(encoder, out, [sounds], seed=0)
    return out


def test_neighbours_are_joined_and_some_are_left_out(tmp_path):
    for number in range(3):
        save_audio(tmp_path / f"s{number}.wav", Audio(torch.full((10 * SAMPLE_RATE,), 0.1), SAMPLE_RATE))
    assert [len(group) for group in groups([tmp_path])] == [2, 1]
    (tmp_path / "exclude.txt").write_text("s1")
    assert [path.stem for path in files_of(tmp_path)] == ["s0", "s2"]


def test_the_place_in_the_window_is_not_taught():
    place = torch.randn(PLACES, 300, generator=seeded(0)).cumsum(0) / 5
    said = [torch.randn(2 * PLACES, 300, generator=seeded(number + 1)) for number in range(12)]
    seen = [part + place.repeat(2, 1) for part in said]
    basis = {name: torch.from_numpy(value) for name, value in basis_of(seen).items()}
    alike, other = (projected(x, basis).flatten() for x in (seen[0], place.repeat(2, 1)))
    truth = (said[0] @ basis["projection"]).flatten()
    assert torch.corrcoef(torch.stack([alike, truth]))[0, 1] > 0.9
    assert other.square().mean() < 0.2 * alike.square().mean()


def test_lessons_hold_the_sound_and_what_was_heard(encoder, lessons):
    paths = sorted(lessons.glob("*.rec.npz"))
    assert paths and (lessons / "basis.npz").exists()
    file = np.load(paths[0])
    assert file["features"].shape == (1 + len(file["samples"]) // 320, 192)
    basis = {name: torch.from_numpy(value) for name, value in np.load(lessons / "basis.npz").items()}
    again = projected(encoder(torch.from_numpy(file["samples"].astype(np.float32) / 32768)), basis)
    torch.testing.assert_close(torch.from_numpy(file["features"]).float(), again, atol=0.05, rtol=0.05)


def test_a_lesson_is_learned(lessons):
    torch.manual_seed(0)
    student = SpeechEncoder(width=24, size=192, heads=2, hidden=24, back=(3, 3), ahead=(1, 1))
    task = Lessons(str(lessons), student, size=2, seconds=2.0)
    batch = task.batch(seeded(0))
    assert torch.equal(batch.clean, task.batch(seeded(0)).clean)
    module = Distillation(student, None, squared, torch.optim.AdamW, task)  # type: ignore[arg-type]
    optimizer, history = torch.optim.Adam(student.parameters(), 3e-3), []
    for _ in range(60):
        prediction, losses = module.compare(batch, step_generator(0, 0))
        optimizer.zero_grad()
        losses["loss"].backward()
        optimizer.step()
        history.append(float(losses["loss"].detach()))
    assert prediction.shape == batch.clean.shape and history[-1] < 0.8 * history[0]
    assert picture(student, task).shape[0] == 3


def test_agreement_is_one_for_the_truth_and_nothing_for_the_mean():
    clean = torch.randn(2, 50, 4, generator=seeded(0))
    batch = Batch(clean, {}, torch.ones(2, 50, 1))
    assert agreement(clean, batch)["explained"] == 1 and agreement(clean, batch)["r"] > 0.999
    assert abs(float(agreement(clean.mean((0, 1)).expand_as(clean), batch)["explained"])) < 1e-5


def test_a_folder_without_lessons_is_named(tmp_path):
    with pytest.raises(UserError, match=tmp_path.name):
        Lessons(str(tmp_path), SpeechEncoder(width=8, heads=2, hidden=8))


def tracked(path, seed: int) -> None:
    """A clip of somebody whose jaw follows the loudness of noise."""
    frames, fps = 40, 20.0
    loud = torch.rand(frames, generator=seeded(seed))
    samples = 0.3 * loud.repeat_interleave(800) * torch.randn(frames * 800, generator=seeded(seed + 9))
    expression = torch.zeros(frames, 52)
    expression[:, EXPRESSIONS.index("jawOpen")] = 0.5 * loud
    still = torch.eye(3).expand(frames, 55, 3, 3)
    save_clip(path, Audio(samples, SAMPLE_RATE), Motion(still, expression, torch.zeros(frames, 3), fps))


def test_mouths_are_read_off(encoder, lessons, tmp_path, monkeypatch):
    clips = tmp_path / "clips"
    clips.mkdir()
    for number in range(2):
        tracked(clips / f"c{number}.npz", number)
    monkeypatch.setattr(label, "PretrainedEncoder", lambda path, layers, bfloat16: encoder)
    monkeypatch.setattr("sys.argv", ["label", "x", str(clips), str(lessons), str(tmp_path / "out")])
    label.main()
    made = [load_clip(path) for path in sorted((tmp_path / "out").glob("*.npz"))]
    assert len(made) == len(list(lessons.glob("*.rec.npz")))
    mouth = made[0].motion.expression
    assert made[0].spoken and mouth.min() >= 0 and mouth.max() <= 1 and mouth.std() > 1e-4
    with np.load(lessons / "mouth.npz") as file:
        kernel = file["kernel"]
    heard = label.UNITS.directions
    assert kernel.shape[1:] == (192, 17) and kernel[:, :heard].any() and not kernel[:, heard:].any()


def test_a_regression_is_a_convolution():
    chance = seeded(0)
    features = [torch.randn(60, 5, generator=chance) for _ in range(3)]
    wanted = [one[:, :2] + 0.1 * torch.randn(60, 2, generator=chance) for one in features]
    read = label.Regression(label.Hearing(2, 0.01, directions=4), features, wanted)
    taps = read.taps(5, 3)
    assert taps.shape == (2, 5, 7) and not taps[..., 0].any() and not taps[:, 4].any()
    moments = torch.nn.functional.conv1d(features[0].T[None], taps)[0].T  # at whole features; frames are between two
    between = (moments[1:-1] + moments[2:]) / 2 * read.spread
    expected = (read(features[0]) - read.mean + read.middle @ read.weight)[4:-4]
    torch.testing.assert_close(between, expected, atol=1e-4, rtol=1e-4)


def test_what_differs_between_clips_alone_is_not_heard_within():
    """Two clips whose microphone and whose resting lips differ: within each, only one direction says anything."""
    chance = seeded(0)
    features = [torch.randn(300, 2, generator=chance) + torch.tensor([0.0, level]) for level in (-3.0, 3.0)]
    wanted = [one[:, :1] + 2 * one[:, 1:].mean() for one in features]
    within, across = (
        label.Regression(label.Hearing(0, 1e-4, within, directions=2), features, wanted).weight[:, 0].abs()
        for within in (True, False)
    )
    assert within[1] < 0.1 * within[0] and across[1] > across[0]


def test_mouths_are_not_read_off_phones(lessons, tmp_path, monkeypatch):
    np.savez(
        tmp_path / "c.npz", samples=np.ones(24000, np.int16), sample_rate=24000, phones=["m", "a"], ends=[0.2, 1.0]
    )
    monkeypatch.setattr("sys.argv", ["label", "x", str(tmp_path), str(lessons), str(tmp_path / "out")])
    with pytest.raises(UserError, match="no tracked clip"):
        label.main()
