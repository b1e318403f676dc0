"""How good are the videos? A named protocol over a folder, or over finished videos, becomes a report.

    python -m vlogger.evaluate protocol=dev data=FOLDER out=REPORT

Everything heavy is imported where it is used, so that --help answers at once.
"""

import re
import signal
import sys
from pathlib import Path
from time import perf_counter
from typing import Any

import hydra
from omegaconf import DictConfig, OmegaConf

from vlogger.errors import UserError

STAGE_KEYS = ("body", "subject", "motion", "render", "video", "superres", "fps", "face")
PATHS = re.compile(r"(data|out|[\w.]*weights|judge|syncnet|lpips|fid|fvd|protocol\.references)=([^'\"].*)", re.DOTALL)


def main() -> None:
    """What a person got wrong ends in one sentence and exit code 2; a stop leaves no process behind."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    sys.argv[1:] = [quoted(argument) for argument in sys.argv[1:]]
    run()


def quoted(argument: str) -> str:
    """Quote paths for Hydra, whose grammar gives commas, brackets and equal signs a meaning of their own."""
    match = PATHS.fullmatch(argument)
    return argument if match is None or match[2] == "null" else f"{match[1]}='{match[2]}'".replace("\\", "\\\\")


@hydra.main(version_base="1.3", config_path="pkg://conf", config_name="evaluate")
def run(cfg: DictConfig) -> None:
    """Measure what is not measured yet, and write the report."""
    import torch

    torch.set_num_threads(1)
    try:
        folder = Path(str(cfg.out)).expanduser()
        print(evaluate(cfg, folder))
    except UserError as error:
        print(f"vlogger.evaluate: {error}", file=sys.stderr)
        sys.exit(2)


def evaluate(cfg: DictConfig, folder: Path) -> str:
    """Returns one line about the report."""
    from hydra.utils import instantiate

    from vlogger.evaluation.run import jobs_of, work

    if not cfg.data:
        raise UserError("no data is given; add data=FOLDER (what must lie in it: docs/evaluation.md)")
    begin, protocol, settings = perf_counter(), instantiate(cfg.protocol, _convert_="all"), settings_of(cfg)
    jobs = jobs_of(protocol.tasks(Path(str(cfg.data)).expanduser()), settings, folder, cfg.pictures)
    work(jobs, settings, cfg.processes)
    report(cfg, folder, protocol.name, jobs, settings, perf_counter() - begin)
    failed = sum(not job.done for job in jobs)
    return f"{folder}/report.html: {len(jobs) - failed} of {len(jobs)} tasks, {perf_counter() - begin:.0f} s" + (
        f", {failed} failed" if failed else ""
    )


def settings_of(cfg: DictConfig) -> str:
    """What a process needs to build the bench, as JSON."""
    import json

    whole: Any = OmegaConf.to_container(cfg, resolve=True)
    weights = {name: whole[name] for name in ("judge", "syncnet", "lpips", "fid", "fvd")} | {"folder": whole["weights"]}
    config = {key: whole[key] for key in STAGE_KEYS}
    told = {"config": config, "weights": weights, "size": whole["size"], "fps": float(whole["fps"])}
    return json.dumps(told, sort_keys=True)


def report(cfg: DictConfig, folder: Path, name: str, jobs: list, settings: str, seconds: float) -> None:
    """Tables of all rows that there are."""
    import json
    from datetime import date

    from vlogger.evaluation import published
    from vlogger.evaluation.bench import open_bench
    from vlogger.evaluation.protocol import VERSION
    from vlogger.evaluation.report import Report, write_report
    from vlogger.evaluation.run import fingerprint
    from vlogger.evaluation.summary import curves_of, errors_of, read_lines, tables_of
    from vlogger.record import surroundings

    paths = [job.path for job in jobs if job.path.exists()]
    lines = read_lines([job.path for job in jobs if job.done])
    facts = {
        "protocol": f"{name}, version {VERSION}",
        "clips": f"{len(lines)} rows of {len(jobs)} tasks; {cfg.size} pixels, {cfg.fps:g} fps",
        "date": str(date.today()),
        "time": f"{seconds:.0f} s in this run, {cfg.processes} processes",
        "command": " ".join(["python", "-m", "vlogger.evaluate", *sys.argv[1:]]),
    }
    write_report(
        folder,
        Report(
            title=f"vlogger: protocol {name}",
            facts=facts,
            tables=tables_of(lines),
            published=published.tables(),
            absent=open_bench(settings).judges.absent,
            errors=errors_of(paths),
            curves=curves_of(lines, cfg.curves),
            pictures=sorted((folder / "pictures").glob("*/*.jpg")) if cfg.pictures else [],
            details={
                "settings": json.loads(settings),
                "weights": json.loads(fingerprint(settings)),
                "surroundings": surroundings(),
            },
        ),
    )


if __name__ == "__main__":
    main()
