"""The sync judge: of several motions for one sound, which has the lips that belong to it?

A linear regression from what the ear hears to the opening and the width of the lips (`python -m motion.judge`); a
motion is as good as its own opening and width agree with that (Pearson's r). VLOGGER 4 keeps the best of K videos.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from motion.features import FeatureSpace, longest
from vlogger.errors import UserError

WEIGHTS = Path(__file__).with_name("weights") / "judge.safetensors"
OPEN = {"jawOpen": 1.0, "mouthLowerDown": 0.35, "mouthUpperUp": 0.3, "mouthClose": -0.9, "mouthPress": -0.2}
WIDE = {"mouthStretch": 0.5, "mouthSmile": 0.5, "mouthDimple": 0.3, "mouthPucker": -1.0, "mouthFunnel": -0.7}
WIDTH_COUNTS = 0.3  # beside the opening


def lips(space: FeatureSpace, features: Tensor) -> Tensor:
    """Unscaled features (..., d) -> (..., 2): about how open and how wide the lips are."""
    weights = torch.tensor([[longest(table, name, 0.0) for table in (OPEN, WIDE)] for name in space.names])
    return features @ weights


def correlation(first: Tensor, second: Tensor) -> Tensor:
    """Pearson's r over the last axis, 0 where a curve is flat."""
    first, second = (values - values.mean(-1, keepdim=True) for values in (first, second))
    norm = (first.square().sum(-1) * second.square().sum(-1)).sqrt()
    return (first * second).sum(-1) / norm.clamp(min=1e-9)


@dataclass(frozen=True)
class Judge:
    """`weight` (n * hears, 2), of what is heard around a frame (`motion.audio.around`)."""

    weight: Tensor

    def __call__(self, space: FeatureSpace, heard: Tensor, motions: Tensor) -> Tensor:
        """Sound (t, n * hears), K motions (k, t, d), unscaled -> (k,): how well each fits."""
        expected = (heard @ self.weight).T  # 2 t
        agreement = correlation(lips(space, motions).transpose(1, 2), expected[None].expand(len(motions), -1, -1))
        return agreement[:, 0] + WIDTH_COUNTS * agreement[:, 1]


def load_judge(path: str | Path | None = None) -> Judge:
    """From a file (None: the one that ships with vlogger)."""
    path = Path(path or WEIGHTS)
    if not path.exists():
        raise UserError(f"There is no sync judge in {path}: fit one with motion.judge, or set motion.best_of=1.")
    return Judge(load_file(path)["weight"])


def ridge(heard: Tensor, wanted: Tensor, strength: float) -> Tensor:
    """argmin |heard W - wanted|^2 + strength |W|^2 n, both centred."""
    heard, wanted = heard - heard.mean(0), wanted - wanted.mean(0)
    gram = heard.T @ heard + strength * len(heard) * torch.eye(heard.shape[1])
    return torch.linalg.solve(gram, heard.T @ wanted)


def main() -> None:
    from hydra import compose, initialize_config_module
    from hydra.utils import instantiate

    from motion.data import SpeechMotion

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", help="folder of training clips (motion/clips.py)")
    parser.add_argument("out", type=Path)
    parser.add_argument("--batches", type=int, default=25)
    parser.add_argument("overrides", nargs="*", help="such as motion/ear=logmel")
    given = parser.parse_intermixed_args()
    with initialize_config_module("conf", version_base="1.3"):
        cfg = compose("generate", given.overrides)
    network, ear = instantiate(cfg.motion.network), instantiate(cfg.motion.ear)
    space = network.space
    task = SpeechMotion(given.clips, space, ear, network.config["offsets"], hush=0.0, variants=2, speeds=(1.0,))
    chance = torch.Generator().manual_seed(0)
    batches = [task.batch(chance) for _ in range(given.batches)]
    heard = torch.cat([batch.condition["audio"].flatten(0, 1) for batch in batches])
    wanted = torch.cat([lips(space, batch.clean * space.scales).flatten(0, 1) for batch in batches])
    save_file({"weight": ridge(heard, wanted / wanted.std(0), 0.1).contiguous()}, given.out)


if __name__ == "__main__":
    main()
