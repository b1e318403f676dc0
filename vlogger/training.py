"""Training of every denoiser: one LightningModule, batches that depend only on the step, pictures of the progress.

A *task* (motion.data, video_diffusion.data, superres.data) makes batches: `task.batch(generator) -> Batch` for training
and `task.validation() -> list[Batch]`, always the same. Batch n of a training is made from (seed, n) alone, so a
training that is interrupted and resumed sees exactly what it would have seen.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import TensorBoardLogger
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset

from vlogger.checkpoint import Checkpoint
from vlogger.diffusion.batch import Batch
from vlogger.diffusion.loss import drop, noise_levels


class Task(Protocol):
    """Where batches come from."""

    def batch(self, generator: torch.Generator) -> Batch: ...

    def validation(self) -> list[Batch]: ...


Loss = Callable[[Tensor, Tensor, Tensor], Tensor | dict[str, Tensor]]
Report = Callable[[Tensor, Batch], dict[str, Tensor]]


@dataclass(frozen=True)
class NoiseSettings:
    """How the clean value is noised in training: `emphasis` of high noise, chance of dropping each condition, `offset`
    of a channel's noise, part `shared` of the variance that all frames (axis 1) have in common (arXiv 2305.10474)."""

    emphasis: float = 1.0
    drop: Mapping[str, float] = field(default_factory=dict)
    offset: float = 0.0
    shared: float = 0.0


def step_generator(seed: int, step: int) -> torch.Generator:
    """The chance of one training step: it depends on the seed and the step only."""
    return torch.Generator().manual_seed((seed * 1_000_003 + step) % (2**63 - 1))


class StepBatches(IterableDataset):
    """Batches start, start + 1, … of a task."""

    def __init__(self, task: Task, seed: int, start: int):
        self.task, self.seed, self.start = task, seed, start

    def __iter__(self) -> Iterator[Batch]:
        step = self.start
        while True:
            yield self.task.batch(step_generator(self.seed, step))
            step += 1


class FixedBatches(IterableDataset):
    """The validation batches of a task."""

    def __init__(self, task: Task):
        self.task = task

    def __iter__(self) -> Iterator[Batch]:
        return iter(self.task.validation())


class DiffusionTraining(pl.LightningModule):
    """Teaches a denoiser to predict the clean value from a noisy one (VLOGGER Eq. 1), whatever the value is.

    `loss(prediction, clean, weight)` gives a scalar, or named scalars of which "loss" is minimised. Frozen parameters
    (`requires_grad=False`) stay as they are. `report(prediction, batch)` measures more at validation.
    """

    denoiser: Checkpoint
    task: Task

    def __init__(
        self,
        denoiser: Checkpoint,
        scheduler,
        loss: Loss,
        optimizer: Callable[..., torch.optim.Optimizer],
        task: Task,
        noise: NoiseSettings = NoiseSettings(),
        warmup: int = 200,
        seed: int = 0,
        report: Report | None = None,
    ):
        super().__init__()
        self.denoiser, self.scheduler, self.loss, self.task = denoiser, scheduler, loss, task
        self.make_optimizer, self.noise, self.warmup, self.seed = optimizer, noise, warmup, seed
        self.report = report

    def training_step(self, batch: Batch, index: int) -> Tensor:
        _, losses = self.compare(batch, step_generator(self.seed + 1, self.global_step))
        self.log_dict({f"train/{name}": value for name, value in losses.items()}, prog_bar=True)
        return losses["loss"]

    def validation_step(self, batch: Batch, index: int) -> None:
        prediction, losses = self.compare(batch, step_generator(self.seed + 2, index))
        if self.report is not None:
            losses = {**losses, **self.report(prediction, batch)}
        self.log_dict({f"val/{name}": value for name, value in losses.items()}, batch_size=len(batch.clean))

    def compare(self, batch: Batch, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """Noise the clean values at random levels, predict them back: the prediction, and what it loses."""
        condition = drop(batch.condition, self.noise.drop, generator)
        timestep = noise_levels(len(batch.clean), self.scheduler, generator, self.noise.emphasis).to(self.device)
        noisy = self.scheduler.add_noise(batch.clean, self.draw_noise(batch.clean, generator), timestep)
        prediction = self.denoiser(noisy, timestep, condition)
        return prediction, self.losses(prediction, batch)

    def losses(self, prediction: Tensor, batch: Batch) -> dict[str, Tensor]:
        """What a prediction loses, by name; the one that is minimised is "loss"."""
        losses = self.loss(prediction, batch.clean, batch.weight)
        return losses if isinstance(losses, dict) else {"loss": losses}

    def draw_noise(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        """White noise, partly the same in all frames, plus a little of one value for a whole channel (noise offset)."""
        noise = torch.randn(clean.shape, generator=generator)
        if self.noise.shared:
            same = torch.randn(clean[:, :1].shape, generator=generator)
            noise = (1 - self.noise.shared) ** 0.5 * noise + self.noise.shared**0.5 * same
        if self.noise.offset:
            shared = torch.randn(*clean.shape[:-2], 1, 1, generator=generator)
            noise = (noise + self.noise.offset * shared) / (1 + self.noise.offset**2) ** 0.5
        return noise.to(clean.device)

    def configure_optimizers(self):
        trained = [parameter for parameter in self.denoiser.parameters() if parameter.requires_grad]
        optimizer = self.make_optimizer(trained)
        ramp = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / max(1, self.warmup)))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": ramp, "interval": "step"}}

    def train_dataloader(self) -> DataLoader:
        return DataLoader(StepBatches(self.task, self.seed, self.global_step), batch_size=None)

    def val_dataloader(self) -> DataLoader:
        return DataLoader(FixedBatches(self.task), batch_size=None)


class SamplePictures(pl.Callback):
    """At each validation: a picture of what the averaged denoiser makes now, into TensorBoard.

    `draw(denoiser, task)` gives it, 3 h w in [0, 1].
    """

    def __init__(self, draw: Callable[[nn.Module, Task], Tensor]):
        self.draw = draw

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.logger is None or trainer.sanity_checking:
            return
        with torch.inference_mode():
            picture = self.draw(trained(pl_module).denoiser, trained(pl_module).task)
        assert isinstance(trainer.logger, TensorBoardLogger)
        trainer.logger.experiment.add_image("samples", picture, trainer.global_step)


class SaveAtEnd(pl.Callback):
    """At the end of a training: everything that is needed to go on, before the averaged weights take over."""

    def __init__(self, file: str):
        self.file = file

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        trainer.save_checkpoint(self.file)


class ExportWeights(pl.Callback):
    """At each validation: the averaged denoiser as a folder that `from_pretrained` reads."""

    def __init__(self, folder: str):
        self.folder = folder

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        trained(pl_module).denoiser.save_pretrained(self.folder)


def trained(module: pl.LightningModule) -> DiffusionTraining:
    """The module of this file that Lightning hands to its callbacks."""
    assert isinstance(module, DiffusionTraining)
    return module
