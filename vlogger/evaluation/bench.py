"""The measuring bench: the pipeline that is judged, and the judges. Built once in each process."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import torch
from omegaconf import DictConfig, OmegaConf

from vlogger.build import build
from vlogger.evaluation.fetch import COMMAND
from vlogger.evaluation.frechet import I3d, Inception, load_script
from vlogger.evaluation.identity import MODEL, FaceEmbedding, read_quantised
from vlogger.evaluation.judge import LipJudge, load_judge
from vlogger.evaluation.perceptual import Lpips, MobileNet, load_lpips, load_mobilenet
from vlogger.evaluation.quality import Pristine, load_pristine
from vlogger.evaluation.silence import load_vad
from vlogger.evaluation.syncnet import SyncNet, load_syncnet
from vlogger.pipeline import Vlogger


@dataclass(frozen=True)
class Weights:
    """Where the judges' weights lie; None: not given. `folder` is what `vlogger.evaluation.fetch` filled."""

    folder: str | None = None
    judge: str | None = None
    syncnet: str | None = None
    lpips: str | None = None
    fid: str | None = None
    fvd: str | None = None


@dataclass(frozen=True)
class Judges:
    """Networks that measure. What is None is not measured, for the reason in `absent` (by the metric's name)."""

    lips: LipJudge
    embedding: FaceEmbedding | None = None
    mobilenet: MobileNet | None = None
    vad: torch.jit.ScriptModule | None = None
    pristine: Pristine | None = None
    syncnet: SyncNet | None = None
    lpips: Lpips | None = None
    inception: Inception | None = None
    i3d: I3d | None = None
    absent: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Bench:
    """What a task needs. `size`: shorter side of the made video, pixels; `fps`: of all motion that is compared;
    `settings`: what another process needs to open the same bench."""

    vlogger: Vlogger
    judges: Judges
    size: int
    fps: float
    settings: str


@cache
def open_bench(settings: str) -> Bench:
    """The bench of one process, built once. `settings`: JSON with `config` (the stages), `weights`, `size`, `fps`."""
    told = json.loads(settings)
    config = OmegaConf.create(told["config"])
    assert isinstance(config, DictConfig)
    return Bench(build(config), load_judges(Weights(**told["weights"])), told["size"], told["fps"], settings)


FETCHED = {
    "identity": f"{MODEL}.bin",
    "mobilenet": "mobilenet_v2-b0353104.pth",
    "vad": "silero_vad.jit",
    "niqe": "niqe_pris_params.npz",
}
GIVEN = {
    "syncnet": "its weights are not given (syncnet=syncnet_v2.model)",
    "lpips": "its backbone is not given (lpips=alexnet-owt-7be5be79.pth)",
    "fid": "its backbone is not given (fid=inception-2015-12-05.pt)",
    "fvd": "its backbone is not given (fvd=i3d_torchscript.pt)",
}


def load_judges(weights: Weights) -> Judges:
    """All judges whose weights are there; UserError for a path that is given and wrong."""
    folder = Path(weights.folder).expanduser() if weights.folder else None
    found = {name: folder / file for name, file in FETCHED.items() if folder and (folder / file).is_file()}
    given = {name: Path(path).expanduser() for name in GIVEN if (path := getattr(weights, name))}
    return Judges(
        lips=load_judge(weights.judge),
        embedding=FaceEmbedding(read_quantised(found["identity"].parent)).eval() if "identity" in found else None,
        mobilenet=load_mobilenet(found["mobilenet"]) if "mobilenet" in found else None,
        vad=load_vad(found["vad"]) if "vad" in found else None,
        pristine=load_pristine(found["niqe"]) if "niqe" in found else None,
        syncnet=load_syncnet(given["syncnet"]) if "syncnet" in given else None,
        lpips=load_lpips(given["lpips"]) if "lpips" in given else None,
        inception=Inception(load_script(given["fid"], "fid")) if "fid" in given else None,
        i3d=I3d(load_script(given["fvd"], "fvd")) if "fvd" in given else None,
        absent=absent_reasons(set(found) | set(given)),
    )


def absent_reasons(there: set[str]) -> dict[str, str]:
    """Why a metric is not measured, by its name."""
    reasons = {
        name: f"its weights are not there; get them by `{COMMAND}`, then weights=FOLDER"
        for name in FETCHED
        if name not in there
    }
    return reasons | {name: reason for name, reason in GIVEN.items() if name not in there}
