"""The whole training entry, on made pools and tiny networks."""

from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_module
from safetensors.torch import load_file

from vlogger.pools import write_made_pool
from vlogger.training import NoiseSettings, step_generator
from vlogger.types import seeded

TINY = ["experiment.module.denoiser.widths=[16,32]", "experiment.module.denoiser.embedding=16"]
SHORT = ["experiment.ema_start=0", "experiment.module.task.frames=3"]
QUIET = ["threads=1", "trainer.enable_progress_bar=false", "+trainer.enable_model_summary=false"]


@pytest.fixture(scope="module")
def pools(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("pools")
    write_made_pool(folder / "stills", 8, 1, 16, seeded(0))
    write_made_pool(folder / "clips", 6, 4, 16, seeded(1))
    return folder


def train(experiment: str, data: Path, run: Path, steps: int, *overrides: str) -> dict[str, torch.Tensor]:
    """`python -m vlogger.train`, without the process; the weights that it leaves."""
    from vlogger.train import main

    settings = [f"experiment={experiment}", f"data={data}", f"run={run}", f"trainer.max_steps={steps}"]
    with initialize_config_module("conf", version_base="1.3"):
        cfg = compose("train", [*settings, "trainer.val_check_interval=2", *QUIET, *overrides])
    main.__wrapped__(cfg)
    return load_file(run / "weights" / "model.safetensors")


def saved(run: Path, key: str) -> dict[str, torch.Tensor]:
    """The denoiser in a checkpoint: averaged ("state_dict") or as it was trained ("current_model_state")."""
    state = torch.load(run / "last.ckpt", weights_only=False)[key]
    return {name.removeprefix("denoiser."): value for name, value in state.items()}


def differing(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> list[str]:
    assert first.keys() == second.keys()
    return [name for name in first if not torch.equal(first[name], second[name])]


@pytest.fixture(scope="module")
def four_steps(pools, tmp_path_factory) -> tuple[Path, dict[str, torch.Tensor]]:
    run = tmp_path_factory.mktemp("whole")
    return run, train("video_image", pools, run, 4, *TINY, "experiment.ema_start=0")


def test_an_interrupted_training_continues_exactly(pools, four_steps, tmp_path):
    half = train("video_image", pools, tmp_path, 2, *TINY, "experiment.ema_start=0")
    resumed = train("video_image", pools, tmp_path, 4, *TINY, "experiment.ema_start=0")
    assert differing(half, resumed)
    assert differing(four_steps[1], resumed) == []
    whole, parts = (torch.load(run / "last.ckpt", weights_only=False) for run in (four_steps[0], tmp_path))
    assert whole["global_step"] == parts["global_step"] == 4
    assert differing(whole["current_model_state"], parts["current_model_state"]) == []
    moments = [run["optimizer_states"][0]["state"] for run in (whole, parts)]
    assert all(torch.equal(moments[0][key]["exp_avg"], moments[1][key]["exp_avg"]) for key in moments[0])


def test_the_weights_that_are_left_are_the_averaged_ones(four_steps):
    run, left = four_steps
    averaged, last = saved(run, "state_dict"), saved(run, "current_model_state")
    assert differing(left, averaged) == [] and differing(left, last)


def test_another_seed_is_another_training(pools, four_steps, tmp_path):
    assert differing(four_steps[1], train("video_image", pools, tmp_path, 4, *TINY, "experiment.ema_start=0", "seed=1"))


def test_pictures_and_measurements_are_logged(four_steps):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    log = EventAccumulator(str(four_steps[0] / "logs"))
    log.Reload()
    assert "samples" in log.Tags()["images"]
    assert {"val/loss", "val/gain_face", "val/gain_mouth"} <= set(log.Tags()["scalars"])


def test_the_second_training_starts_from_the_first_and_leaves_the_base(pools, four_steps, tmp_path):
    first = four_steps[1]
    weights = f"experiment.weights={four_steps[0] / 'weights'}"
    second = train("video_temporal", pools, tmp_path, 2, weights, *SHORT)
    changed = differing(first, saved(tmp_path, "current_model_state"))
    assert changed and [name for name in changed if name.startswith("unet.")] == []
    assert all(torch.allclose(first[name], second[name], rtol=1e-5) for name in first if name.startswith("unet."))


def test_a_training_goes_on_from_weights_of_another(pools, four_steps, tmp_path):
    run, first = four_steps
    weights = [f"experiment.weights={run / 'weights'}", "experiment.ema_start=0"]
    untouched = train("video_more", pools, tmp_path / "zero", 2, *weights, "experiment.module.optimizer.lr=0")
    assert all(torch.allclose(first[name], untouched[name], atol=1e-6) for name in first)
    assert differing(first, train("video_more", pools, tmp_path / "two", 2, *weights))


def test_a_missing_first_training_is_a_sentence(pools, tmp_path):
    with pytest.raises(SystemExit, match="experiment=video_image"):
        train("video_temporal", pools, tmp_path, 1, f"experiment.weights={tmp_path / 'nowhere'}", *SHORT)


def test_the_papers_shape_builds():
    from hydra.utils import instantiate

    with initialize_config_module("conf", version_base="1.3"):
        cfg = compose("train", ["experiment=video_paper", "data=nowhere"])
    with torch.device("meta"):
        network = instantiate(cfg.experiment.module.denoiser)
    assert sum(parameter.numel() for parameter in network.parameters()) > 5e7


def test_shared_noise_has_variance_one():
    from vlogger.training import DiffusionTraining

    module = DiffusionTraining(torch.nn.Identity(), None, None, None, None, NoiseSettings(shared=0.4))
    noise = module.draw_noise(torch.zeros(2, 3, 3, 64, 64), step_generator(0, 0)).flatten(2)
    assert torch.isclose(noise.std(), torch.tensor(1.0), atol=0.02)
    correlation = (noise[:, 0] * noise[:, 1]).mean()
    assert torch.isclose(correlation, torch.tensor(0.4), atol=0.03)
