"""First weights of the small speech encoder, cut out of Whisper: `python -m motion.prune ENCODER LESSONS OUT`

ENCODER: a Whisper of transformers with two layers or more, a folder or a hub id. LESSONS: a folder of `motion.teacher`.
OUT: weights for `motion.encoder.load_encoder`, to be trained by `experiment=motion_encoder`.

- The two convolutions are Whisper's; log-mel of `motion.audio` enters the first by the linear map that comes nearest to
  Whisper's own log-mel.
- Of its absolute positions stays what they are in the mean; what they did for the scores becomes a bias by distance.
- The inner units of each layer that move its output most stay, and what the others did is regressed on them.
- The head is a regression of the lessons' features.
"""

import argparse
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from motion.audio import SAMPLE_RATE, hear
from motion.encoder import Layer, SpeechEncoder
from motion.judge import ridge
from motion.pretrained import CONTEXT, PretrainedEncoder

RECORDINGS, SECONDS = 60, 9.0  # that everything is fitted on
STRENGTH = 1e-3  # of the regressions, of the variance of what they hear


class Piece(NamedTuple):
    """The opening of a recording: mel of both kinds (c, 80), the lesson's features (n, size)."""

    own: Tensor
    whisper: Tensor
    features: Tensor


def piece(path: Path, teacher: PretrainedEncoder) -> Piece:
    """From a file of `motion.teacher`; the second that its reader hears before a recording is cut off again."""
    with np.load(path) as file:
        samples = torch.from_numpy(file["samples"].astype(np.float32) / 32768)[: round(SECONDS * SAMPLE_RATE)]
        features = torch.from_numpy(file["features"].astype(np.float32))
    early = F.pad(samples, (CONTEXT * SAMPLE_RATE, 0))
    whisper = teacher.prepare(early.numpy(), sampling_rate=SAMPLE_RATE, return_tensors="pt", padding="do_not_pad")
    return Piece(hear(samples, SAMPLE_RATE), whisper["input_features"][0].T[100 * CONTEXT :], features)


def regression(heard: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
    """(n, a), (n, b) -> weight (a, b) and bias (b,)."""
    weight = ridge(heard, wanted, STRENGTH * float(heard.var(0).mean()))
    return weight, wanted.mean(0) - heard.mean(0) @ weight


def set_stem_(small: SpeechEncoder, big: Any, pieces: list[Piece]) -> None:
    """The convolutions, and the mean of the positions."""
    rows = [(one.own[: len(one.whisper)], one.whisper[: len(one.own)]) for one in pieces]
    own, whisper = (torch.cat(part) for part in zip(*rows, strict=True))
    weight, bias = regression(own, whisper)
    small.first.weight.copy_(torch.einsum("obk,ab->oak", big.conv1.weight, weight))
    assert small.first.bias is not None
    small.first.bias.copy_(big.conv1.bias + torch.einsum("obk,b->o", big.conv1.weight, bias))
    small.halve.load_state_dict(big.conv2.state_dict())
    small.begin.copy_(big.embed_positions.weight.mean(0))


def set_attention_(layer: Layer, big: Any) -> None:
    """Whisper's keys have no bias."""
    attention = big.self_attn
    layer.norm.load_state_dict(big.self_attn_layer_norm.state_dict())
    for ours, theirs in (("query", "q_proj"), ("value", "v_proj"), ("out", "out_proj")):
        getattr(layer, ours).load_state_dict(getattr(attention, theirs).state_dict())
    layer.key.weight.copy_(attention.k_proj.weight)
    layer.key.bias.zero_()


def scores(layer: Layer, x: Tensor) -> Tensor:
    """(t, width) -> (heads, t - back - ahead, back + 1 + ahead) scores by distance, without the bias."""
    known, seen = layer.norm(x), layer.back + layer.ahead
    query, key = (
        part.unflatten(1, (layer.heads, -1)).transpose(0, 1) for part in (layer.query(known), layer.key(known))
    )
    windows = key.unfold(1, seen + 1, 1)  # h n d w
    return torch.einsum("hnd,hndw->hnw", query[:, layer.back : len(x) - layer.ahead], windows) / query.shape[2] ** 0.5


def set_distance_(layer: Layer, theirs: list[Tensor], ours: list[Tensor]) -> None:
    """What the scores by distance are more, in the mean, with positions (theirs) than without (ours), each (t, width).

    A softmax does not see what is the same for all distances.
    """
    with_, without = (torch.cat([scores(layer, x) for x in xs], dim=1).mean(1) for xs in (theirs, ours))
    more = with_ - without
    layer.distance.copy_(more - more.mean(1, keepdim=True))


def set_mlp_(layer: Layer, big: Any, before: Tensor) -> None:
    """before (n, width): what enters the layer's MLP."""
    norm, up, down = layer.mlp[0], layer.mlp[1], layer.mlp[3]
    assert isinstance(norm, nn.LayerNorm) and isinstance(up, nn.Linear) and isinstance(down, nn.Linear)
    norm.load_state_dict(big.final_layer_norm.state_dict())
    inner = F.gelu(big.fc1(norm(before)))
    worth = inner.var(0) * big.fc2.weight.square().sum(0)
    kept = worth.topk(up.out_features).indices.sort().values
    up.weight.copy_(big.fc1.weight[kept])
    up.bias.copy_(big.fc1.bias[kept])
    weight, bias = regression(inner[:, kept], big.fc2(inner))
    down.weight.copy_(weight.T)
    down.bias.copy_(bias)


@torch.no_grad()
def pruned(teacher: PretrainedEncoder, pieces: list[Piece], hidden: int = 768) -> SpeechEncoder:
    """The first layers of the teacher as a small encoder, with `hidden` inner units each."""
    big, config = teacher.encoder, teacher.model.config
    small = SpeechEncoder(config.d_model, pieces[0].features.shape[1], config.encoder_attention_heads, hidden)
    set_stem_(small, big, pieces)
    ours = [stem(small, one.own) for one in pieces]
    theirs = [entered(big, one.whisper) for one in pieces]
    for number, layer in enumerate(small.layers):
        assert isinstance(layer, Layer)
        set_attention_(layer, big.layers[number])
        set_distance_(layer, [states[number] for states in theirs], ours)
        set_mlp_(layer, big.layers[number], torch.cat([layer.attend(x[None])[0] for x in ours]))
        ours = [layer(x[None])[0] for x in ours]
    back = sum(small.config["back"])
    rows = [(small.norm(x), one.features[back:][: len(x)]) for x, one in zip(ours, pieces, strict=True)]
    rows = [(x[: len(wanted)], wanted) for x, wanted in rows]
    weight, bias = regression(*(torch.cat(part) for part in zip(*rows, strict=True)))
    small.head.weight.copy_(weight.T)
    small.head.bias.copy_(bias)
    return small


def stem(small: SpeechEncoder, mel: Tensor) -> Tensor:
    """(c, 80) -> (t, width) what enters the first layer, one feature for two columns."""
    columns = F.pad(mel.T[None], (1, 1))
    return (F.gelu(small.halve(F.pad(F.gelu(small.first(columns)), (1, 1))))[0]).T + small.begin


def entered(big: Any, mel: Tensor) -> list[Tensor]:
    """(c, 80) of Whisper -> (t, width) what enters each of its layers."""
    columns = 2 * big.config.max_source_positions
    given = F.pad(mel.T[None], (0, columns - len(mel)), value=float(mel.min()))
    count = (len(mel) + 1) // 2
    return [state[0, :count] for state in big(given, output_hidden_states=True).hidden_states]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("encoder")
    parser.add_argument("lessons", type=Path)
    parser.add_argument("out", type=Path)
    given = parser.parse_args()
    teacher = PretrainedEncoder(given.encoder)
    paths = sorted(given.lessons.glob("*.rec.npz"))
    chosen = paths[:: max(1, len(paths) // RECORDINGS)][:RECORDINGS]
    pruned(teacher, [piece(path, teacher) for path in chosen]).save_pretrained(given.out)


if __name__ == "__main__":
    main()
