"""The small encoder: attention against a slow twin, and first weights cut out of a big one."""

import pytest
import torch
from torch.nn import functional as F
from transformers import WhisperConfig, WhisperFeatureExtractor, WhisperModel

from motion.encoder import Layer, SpeechEncoder
from motion.pretrained import PretrainedEncoder
from motion.prune import Piece, entered, pruned, scores, set_attention_, set_distance_, set_mlp_
from vlogger.types import seeded

BACK, AHEAD = 4, 2


def layer() -> Layer:
    torch.manual_seed(0)
    made = Layer(width=16, heads=2, hidden=12, back=BACK, ahead=AHEAD)
    torch.nn.init.normal_(made.distance)
    return made


@torch.no_grad()
def slow(made: Layer, x: torch.Tensor) -> torch.Tensor:
    """(t, width), one feature after the other, one head after the other."""
    known, out = made.norm(x), []
    query, key, value = made.query(known), made.key(known), made.value(known)
    for place in range(made.back, len(x) - made.ahead):
        near = slice(place - made.back, place + made.ahead + 1)
        heads = []
        for head in range(made.heads):
            own = slice(8 * head, 8 * head + 8)
            score = key[near, own] @ query[place, own] / 8**0.5 + made.distance[head]
            heads.append(score.softmax(0) @ value[near, own])
        y = x[place] + made.out(torch.cat(heads))
        out.append(y + made.mlp(y))
    return torch.stack(out)


def test_attention_equals_its_slow_twin():
    made, x = layer(), torch.randn(20, 16, generator=seeded(1))
    torch.testing.assert_close(made(x[None])[0], slow(made, x), atol=1e-5, rtol=1e-5)


def test_nothing_beyond_its_reach_is_heard():
    made, x = layer(), torch.randn(1, 30, 16, generator=seeded(1))
    other = x.clone()
    other[:, 15] += torch.randn(16, generator=seeded(2))
    changed = (made(x) != made(other))[0].any(1).nonzero().flatten() + BACK
    assert int(changed.min()) == 15 - AHEAD and int(changed.max()) == 15 + BACK


@pytest.fixture(scope="module")
def teacher(tmp_path_factory) -> PretrainedEncoder:
    path = tmp_path_factory.mktemp("whisper")
    torch.manual_seed(0)
    config = WhisperConfig(
        d_model=16, encoder_layers=2, decoder_layers=1, encoder_attention_heads=2, decoder_attention_heads=2,
        encoder_ffn_dim=24, decoder_ffn_dim=16, vocab_size=8, pad_token_id=0, bos_token_id=1, eos_token_id=2,
        decoder_start_token_id=1, max_target_positions=4, suppress_tokens=None, begin_suppress_tokens=None,
    )  # fmt: skip
    WhisperModel(config).save_pretrained(path)
    WhisperFeatureExtractor(feature_size=80).save_pretrained(path)
    return PretrainedEncoder(path, layers=(1, 2))


def test_an_mlp_with_all_its_units_is_the_same(teacher):
    big, made = teacher.encoder.layers[0], layer()
    made.mlp[1], made.mlp[3] = torch.nn.Linear(16, 24), torch.nn.Linear(24, 16)
    x = torch.randn(400, 16, generator=seeded(2))
    with torch.no_grad():
        set_mlp_(made, big, x)
        whole = big.fc2(F.gelu(big.fc1(big.final_layer_norm(x))))
    error = (made.mlp(x) - whole).square().mean() / whole.var()
    assert error < 0.01, "but for the regression's strength"


def test_scores_are_those_of_the_attention(teacher):
    made, x = layer(), torch.randn(20, 16, generator=seeded(3))
    with torch.no_grad():
        set_attention_(made, teacher.encoder.layers[0])
        all_of_them = scores(made, x)
        query, key = made.query(made.norm(x)), made.key(made.norm(x))
    assert all_of_them.shape == (2, 20 - BACK - AHEAD, BACK + AHEAD + 1)
    torch.testing.assert_close(all_of_them[1, 3, 5], query[3 + BACK, 8:] @ key[3 + 5, 8:] / 8**0.5)


def test_the_bias_by_distance_is_what_positions_did(teacher):
    made, x = layer(), torch.randn(60, 16, generator=seeded(4))
    with torch.no_grad():
        set_distance_(made, [x], [x])
    torch.testing.assert_close(made.distance, torch.zeros_like(made.distance))


def test_what_is_cut_out_knows_something_already(teacher):
    mels = [torch.randn(500, 80, generator=seeded(number)).cumsum(0) / 20 for number in range(6)]
    with torch.no_grad():
        said = torch.stack([torch.cat(entered(teacher.encoder, mel)[1:], dim=1) for mel in mels])
    said = said - said.mean(0)  # where in its window a sound is, nobody else could know
    pieces = [Piece(0.5 * mel + 0.3, mel, features) for mel, features in zip(mels, said, strict=True)]
    small = pruned(teacher, pieces, hidden=12)
    assert isinstance(small, SpeechEncoder) and small.config["heads"] == 2
    back = sum(small.config["back"])
    with torch.no_grad():
        heard = small.hear(pieces[0].own)[back : 250 - back]
    true = said[0, back : 250 - back]
    assert (heard - true).square().mean() < 0.6 * true.square().mean()
