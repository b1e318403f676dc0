from pathlib import Path

import numpy as np
import torch
from hydra import compose, initialize_config_module
from hydra.utils import instantiate

from superres.network import Sharpener, from_pretrained
from superres.sample import Bicubic, DiffusionUpscale
from vlogger.pixels import shrink
from vlogger.pools import write_made_pool
from vlogger.types import seeded

TINY = [
    "experiment.module.denoiser.widths=[16,16]",
    "experiment.module.denoiser.depths=[1,1]",
    "experiment.module.task.small=16",
    "experiment.module.task.sizes=[32,64]",
    "experiment.module.task.crop=32",
    "experiment.module.task.batch_size=2",
    "experiment.ema_start=0",
    "trainer.max_steps=2",
    "trainer.val_check_interval=1",
    "trainer.enable_progress_bar=false",
    "trainer.log_every_n_steps=1",
]


def composed(name: str, *settings: str):
    """The configuration of the stage alone."""
    return compose(overrides=[f"+superres={name}", *settings]).superres


def further_training(folder: Path, name: str, *settings: str) -> Sharpener:
    """From the weights of the first."""
    tiny = [setting for setting in TINY if ".denoiser." not in setting]
    own = [f"experiment={name}", f"experiment.weights={folder}/run/weights", f"data={folder}", f"run={folder}/{name}"]
    with initialize_config_module("conf", version_base="1.3"):
        cfg = compose("train", [*own, *tiny, *settings])
    trainer = instantiate(cfg.trainer, _convert_="all")
    trainer.fit(instantiate(cfg.experiment.module, _convert_="all"))
    return from_pretrained(folder / name / "weights")


def test_the_experiment_takes_steps_and_the_stage_reads_its_weights(tmp_path):
    pool = write_made_pool(tmp_path / "pool", n=4, t=1, size=64, generator=seeded(0))
    with initialize_config_module("conf", version_base="1.3"):
        cfg = compose("train", ["experiment=superres", f"data={tmp_path}", f"run={tmp_path / 'run'}", *TINY])
    module = instantiate(cfg.experiment.module, _convert_="all")
    trainer = instantiate(cfg.trainer, _convert_="all")
    trainer.fit(module)
    assert trainer.global_step == 2
    assert {"val/loss", "val/psnr_2x", "val/psnr_4x_bicubic"} <= trainer.logged_metrics.keys()
    trained = from_pretrained(tmp_path / "run" / "weights")
    larger = further_training(tmp_path, "superres_more", "experiment.module.denoiser.depths=[1,2]")
    assert larger.config["depths"] == [1, 2]
    assert not torch.equal(larger.state_dict()["enter.weight"], trained.enter.weight)
    small = shrink(torch.from_numpy(pool.target.copy()).float(), 4).round()
    np.save(pool.folder / "painted.npy", small.numpy().astype(np.uint8))
    painted = further_training(tmp_path, "superres_painted", "experiment.module.denoiser.depths=[1,2]")
    assert painted.config["depths"] == [1, 2]
    exact = further_training(tmp_path, "superres_exact", "experiment.module.denoiser.depths=[1,2]")
    assert exact.exact is not None
    second = further_training(tmp_path, "superres_temporal", "experiment.module.task.frames=3")
    assert second.temporal
    for name, value in trained.state_dict().items():  # the average of what stays the same is that, but for its rounding
        assert torch.allclose(value, second.state_dict()[name], atol=1e-6)
    assert second.state_dict()["middle.0.temporal.conv.weight"].abs().sum() > 0
    assert trained.leave.weight.abs().sum() > 0
    with initialize_config_module("conf", version_base="1.3"):
        for name in ("default", "paper"):
            stage = instantiate(
                composed(name, f"superres.network.folder={tmp_path / 'run' / 'weights'}"), _convert_="all"
            )
            assert isinstance(stage, DiffusionUpscale)
            assert all(torch.equal(a, b) for a, b in zip(stage.network.parameters(), trained.parameters(), strict=True))
        assert isinstance(instantiate(composed("bicubic")), Bicubic)
