"""First weights that can already listen: `python -m motion.regression OUT experiment=motion_more data=CLIPS …`

Takes the network and the training batches of a configured training and fits the network's direct reading of the sound,
a ridge regression from what the ear hears around a frame to the mouth. Gradient descent would need tens of thousands of
steps for that. OUT gets the weights from which to train (experiment.weights=OUT).
"""

import argparse
from pathlib import Path

import torch
from torch import Tensor

from motion.data import SpeechMotion
from motion.features import MOUTH
from motion.judge import ridge
from motion.network import MotionTransformer
from vlogger.errors import UserError

STRENGTH = 0.1  # of the ridge, for features of variance about 1
BATCHES = 120


def pairs(task: SpeechMotion, batches: int) -> tuple[Tensor, Tensor]:
    """What is heard (n, hears) and features (n, d) of some training batches; not the frames that are given."""
    chance = torch.Generator().manual_seed(0)
    made = [task.batch(chance) for _ in range(batches)]
    known = [batch.condition["given"][..., 0] == 0 for batch in made]
    heard = torch.cat([batch.condition["audio"][new] for batch, new in zip(made, known, strict=True)])
    return heard, torch.cat([batch.clean[new] for batch, new in zip(made, known, strict=True)])


@torch.no_grad()
def fit_direct(network: MotionTransformer, heard: Tensor, features: Tensor) -> Tensor:
    """Set the network's direct reading; returns the mouth's share of variance that it explains, (m,)."""
    if not network.config["direct"]:
        raise UserError("This network has no direct reading of the sound: give it one with direct=true.")
    mouth = network.space.only(MOUTH) > 0
    weight = ridge(heard, features, STRENGTH) * mouth
    bias = (features.mean(0) - heard.mean(0) @ weight) * mouth
    network.reading.weight.copy_(weight.T)
    network.reading.bias.copy_(bias)
    wrong = features - heard @ weight - bias
    return 1 - (wrong.var(0) / features.var(0).clamp(min=1e-9))[mouth]


def main() -> None:
    from hydra import compose, initialize_config_module
    from hydra.utils import instantiate

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("overrides", nargs="+", help="as for vlogger.train")
    given = parser.parse_args()
    with initialize_config_module("conf", version_base="1.3"):
        module = compose("train", given.overrides).experiment.module
    network, task = instantiate(module.denoiser), instantiate(module.task)
    explained = fit_direct(network, *pairs(task, BATCHES))
    names = [name for name, wanted in zip(network.space.names, network.space.only(MOUTH), strict=True) if wanted]
    for name, share in sorted(zip(names, explained.tolist(), strict=True), key=lambda pair: -pair[1])[:8]:
        print(f"{name:20} {share:.2f} of the variance")
    network.save_pretrained(given.out)


if __name__ == "__main__":
    main()
