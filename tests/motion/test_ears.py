"""Ears: blocks equal the whole, how far ahead they listen, the sound at the right moment."""

import numpy as np
import pytest
import torch
from transformers import (
    HubertConfig,
    HubertModel,
    Wav2Vec2Config,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2Model,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperModel,
)

import motion.encoder as encoder_module
from motion.audio import COLUMNS_PER_SECOND, SAMPLE_RATE, hear
from motion.ears import Learned, LogMel, Pretrained
from motion.encoder import SpeechEncoder, load_encoder
from motion.pretrained import PretrainedEncoder
from vlogger.errors import UserError
from vlogger.types import seeded

SMALL = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16}


def noise(seconds: float, seed: int = 0) -> torch.Tensor:
    envelope = torch.rand(round(seconds * 10) + 1, generator=seeded(seed)).repeat_interleave(SAMPLE_RATE // 10)
    count = round(seconds * SAMPLE_RATE)
    return 0.1 * envelope[:count] * torch.randn(count, generator=seeded(seed + 1))


def small() -> SpeechEncoder:
    torch.manual_seed(0)
    return SpeechEncoder(width=16, size=12, heads=2, hidden=24, back=(3, 4), ahead=(2, 1)).eval()


@pytest.mark.parametrize("seconds", [0.1, 0.55, 31.3, 65.0])
@pytest.mark.parametrize("ear", [LogMel(), Learned(small())], ids=["logmel", "learned"])
def test_blocks_equal_the_whole(ear, seconds):
    samples = noise(seconds)
    whole, blocks = ear.learn(samples, None), torch.cat(list(ear.blocks(samples)))
    tolerance = 1e-5 if isinstance(ear, LogMel) else 0.05  # the whole is computed in bfloat16
    assert whole.shape == blocks.shape == (len(whole), ear.size)
    torch.testing.assert_close(whole, blocks, atol=tolerance, rtol=0)


def test_the_encoder_reads_a_recording_in_pieces_without_a_seam(monkeypatch):
    mel, network = hear(noise(3), SAMPLE_RATE), small()
    whole = network.hear(mel)
    monkeypatch.setattr(encoder_module, "BLOCK", 20)
    torch.testing.assert_close(network.hear(mel), whole, atol=1e-5, rtol=1e-5)
    assert len(whole) == (len(mel) + 1) // 2


def test_the_encoder_hears_as_far_as_it_says():
    network = small()
    mel = torch.randn(1, 120, 80, generator=seeded(0), requires_grad=True)
    features = network(mel)
    features[0, 10].sum().backward()
    assert mel.grad is not None
    reached = (mel.grad[0].abs().sum(1) > 0).nonzero().flatten()
    own = 2 * 10 + network.before
    assert int(reached.min()) == own - network.before and int(reached.max()) == own + network.after
    assert features.shape[1] == (120 - network.before - network.after + 1) // 2


def test_the_shipped_encoder_is_small_and_nearly_causal():
    network = load_encoder()
    assert sum(parameter.numel() for parameter in network.parameters()) <= 5_000_000
    from motion.network import load_network

    ahead = Learned(network).lookahead + max(load_network().config["offsets"]) + 1 / Learned.rate
    assert ahead <= 0.2, "seconds of sound that are needed after a frame"


def test_a_click_is_heard_at_its_moment():
    samples = torch.zeros(2 * SAMPLE_RATE)
    samples[SAMPLE_RATE : SAMPLE_RATE + 400] = noise(0.1)[:400] * 10
    for ear in (LogMel(), Learned(small())):
        features = torch.cat(list(ear.blocks(samples)))
        changed = (features - ear.silence).abs().amax(1) > 1e-3
        assert abs(int(changed.nonzero().min()) / ear.rate - 1.0) <= ear.lookahead + 0.021
        torch.testing.assert_close(features[: int(ear.rate / 2)], ear.silence.expand(int(ear.rate / 2), -1))


def folder_of(model, extractor, path):
    model.save_pretrained(path)
    extractor.save_pretrained(path)
    return path


def tiny_encoder(kind: str, path):
    torch.manual_seed(0)
    if kind == "whisper":
        config = WhisperConfig(
            d_model=16, encoder_layers=2, decoder_layers=1, encoder_attention_heads=2, decoder_attention_heads=2,
            encoder_ffn_dim=16, decoder_ffn_dim=16, vocab_size=8, pad_token_id=0, bos_token_id=1, eos_token_id=2,
            decoder_start_token_id=1, max_target_positions=4, suppress_tokens=None, begin_suppress_tokens=None,
        )  # fmt: skip
        return folder_of(WhisperModel(config), WhisperFeatureExtractor(feature_size=80), path)
    conv = {"conv_dim": (8,) * 7, "num_conv_pos_embeddings": 8}
    if kind == "wav2vec2":
        return folder_of(Wav2Vec2Model(Wav2Vec2Config(**SMALL, **conv)), Wav2Vec2FeatureExtractor(), path)
    return folder_of(HubertModel(HubertConfig(**SMALL, **conv)), Wav2Vec2FeatureExtractor(), path)


@pytest.mark.parametrize("kind", ["whisper", "wav2vec2", "hubert"])
def test_encoders_of_transformers_are_ears(kind, tmp_path):
    ear = Pretrained(PretrainedEncoder(tiny_encoder(kind, tmp_path), layers=(1, 2)))
    samples = noise(9.5)
    features = torch.cat(list(ear.blocks(samples)))
    assert ear.size == 32 and features.shape == (1 + len(samples) // 320, 32) and features.isfinite().all()
    assert ear.silence.shape == (32,)
    assert torch.equal(ear.learn(samples, None), features)
    other = ear.learn(samples, seeded(0))
    assert other.shape == features.shape and (other - features).abs().max() > 0


def test_an_encoder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UserError, match=str(tmp_path)):
        PretrainedEncoder(tmp_path)


def test_augmented_ears_hear_something_else_of_the_same_length():
    ear, samples = Learned(small()), noise(1)
    plain, one, again = ear.learn(samples, None), ear.learn(samples, seeded(1)), ear.learn(samples, seeded(1))
    assert plain.shape == one.shape and torch.equal(one, again) and (plain - one).abs().max() > 0.01
    assert np.isfinite(one.numpy()).all() and ear.rate == COLUMNS_PER_SECOND / 2
