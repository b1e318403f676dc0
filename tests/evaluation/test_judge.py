"""The judge learns what the sound tells, and is read back as it was saved."""

import numpy as np
import pytest
import torch

from vlogger.errors import UserError
from vlogger.evaluation import judge, lips
from vlogger.evaluation.speech_features import LogMel, Whisper
from vlogger.types import Audio

FRAMES, FPS = 75, 25.0


def clip(seed, late=0):
    """Three seconds of noise whose loudness is the aperture."""
    chance = torch.Generator().manual_seed(seed)
    loud = torch.nn.functional.interpolate(torch.rand(1, 1, 15, generator=chance), FRAMES, mode="linear")[0, 0]
    samples = loud.repeat_interleave(640) * torch.randn(FRAMES * 640, generator=chance) * 0.2
    curve = np.roll(loud.numpy(), late)
    return Audio(samples.clamp(-1, 1), 16000), {"aperture": curve, "width": -curve, "jaw": 2 * curve}


@pytest.fixture(scope="module")
def trained():
    ridge = judge.Ridge.empty(80 * judge.STEPS)
    for seed in range(12):
        audio, curves = clip(seed)
        heard = judge.windows(LogMel()(audio), LogMel().rate, FRAMES, FPS)
        ridge.add(heard, judge.standardised(judge.curves_of(curves)))
    return ridge.solved(LogMel(), 0.1)


def test_it_hears_the_right_curve_at_lag_0_and_not_the_wrong_one(trained):
    (audio, curves), (other, _) = clip(100), clip(101)
    said = trained(audio, FRAMES, FPS)
    assert lips.correlation(said["aperture"], curves["aperture"]) > 0.8
    assert lips.correlation(said["width"], curves["width"]) > 0.8
    assert lips.best_lag(curves["aperture"], said["aperture"])[0] == 0
    assert lips.best_lag(clip(100, late=3)[1]["aperture"], said["aperture"])[0] == 3
    assert lips.correlation(trained(other, FRAMES, FPS)["aperture"], curves["aperture"]) < 0.5


def test_it_is_ridge_regression(trained):
    """The slow twin: one augmented least-squares problem over all frames."""
    pairs = [clip(seed) for seed in range(12)]
    heard = torch.cat([judge.windows(LogMel()(audio), 50.0, FRAMES, FPS) for audio, _ in pairs]).double()
    wanted = torch.cat([judge.standardised(judge.curves_of(curves)) for _, curves in pairs]).double()
    normal = (heard - heard.mean(0)) / heard.std(0, unbiased=False)
    augmented = torch.cat([normal, (0.1 * len(normal)) ** 0.5 * torch.eye(normal.shape[1]).double()])
    twin = torch.linalg.lstsq(augmented, torch.cat([wanted, torch.zeros(normal.shape[1], 3).double()])).solution
    assert torch.allclose(trained.weight.double(), twin, atol=1e-3)


def test_it_is_read_back(trained, tmp_path):
    judge.save_judge(tmp_path / "a.safetensors", trained, "noise")
    again = judge.load_judge(tmp_path / "a.safetensors")
    audio, _ = clip(100)
    assert lips.correlation(again(audio, FRAMES, FPS)["jaw"], trained(audio, FRAMES, FPS)["jaw"]) > 0.999
    with pytest.raises(UserError, match=r"b\.safetensors"):
        judge.load_judge(tmp_path / "b.safetensors")


def test_the_embedded_judge_gives_curves_of_any_length():
    audio, _ = clip(0)
    said = judge.load_judge()(audio, 50, 24.0)
    assert set(said) == set(judge.CURVES) and all(curve.shape == (50,) for curve in said.values())


def test_windows_are_centred_on_the_frames():
    columns = torch.arange(100.0)[:, None]  # at 50 a second, column j is centred at (j + 0.5) / 50 s
    heard = judge.windows(columns, 50.0, 40, 25.0)
    assert heard[10, judge.STEPS // 2] == pytest.approx((10 + 0.5) / 25 * 50 - 0.5)
    assert heard[10, -1] - heard[10, 0] == pytest.approx(2 * judge.REACH * 50)


def test_a_whisper_encoder_from_a_folder(tmp_path):
    from transformers import WhisperConfig, WhisperFeatureExtractor, WhisperModel

    torch.manual_seed(0)
    sizes = {"d_model": 16, "encoder_layers": 5, "decoder_layers": 1, "vocab_size": 10, "pad_token_id": 0}
    heads = {"encoder_attention_heads": 2, "decoder_attention_heads": 2, "encoder_ffn_dim": 16, "decoder_ffn_dim": 16}
    tokens = {"bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 1}
    WhisperModel(WhisperConfig(**sizes, **heads, **tokens)).save_pretrained(tmp_path)
    WhisperFeatureExtractor().save_pretrained(tmp_path)
    features = Whisper(str(tmp_path))
    columns = features(clip(0)[0])
    assert columns.shape == (150, 32) and columns.mean(0).abs().max() < 1e-4
    with pytest.raises(UserError, match="no Whisper model"):
        Whisper(str(tmp_path / "nothing"))(clip(0)[0])
