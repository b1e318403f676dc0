"""A photo and a recording become a talking video.

    python -m vlogger.generate image=PHOTO audio=SPEECH out=TALK.mp4

Everything heavy is imported where it is used, so that --help answers at once.
"""

import os
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hydra
from omegaconf import DictConfig, OmegaConf

from vlogger.build import STAGES, build
from vlogger.errors import UserError

if TYPE_CHECKING:
    from vlogger.pipeline import Vlogger
    from vlogger.progress import Progress
    from vlogger.types import Audio, Portrait

SAVED = {
    "subject_out": ".npz",
    "motion_out": ".npz",
    "controls_out": ".zip",
    "video_out": ".mkv",
    "superres_out": ".mkv",
}
FREE_TEXT = re.compile(r"(image|audio|text|out|\w+_out|\w+\.path)=(.+)", re.DOTALL)
SIZES = (128, 256, 512)


def main() -> None:
    """Run from the command line: what a person got wrong ends in one sentence and exit code 2, not in a traceback."""
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    debug = "HYDRA_FULL_ERROR" in os.environ
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra hands its errors to us instead of printing them
    sys.argv[1:] = [quoted(argument) for argument in sys.argv[1:]]
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # clean up before the end
    try:
        run()
    except KeyboardInterrupt:
        sys.exit(fail("stopped before the video was finished", 130))
    except (UserError, HydraException, OmegaConfBaseException) as error:
        if debug:
            raise
        sys.exit(fail(sentence(error), 2))


def quoted(argument: str, free: re.Pattern[str] = FREE_TEXT) -> str:
    """Quote sentences and paths for Hydra, whose grammar gives commas, brackets and quotes a meaning of their own.

    `free`: which arguments are such text: (name)=(value).
    """
    match = free.fullmatch(argument)
    if match is None or match[2] == "null" or (match[2][0] in "'\"" and match[2][0] == match[2][-1] != match[2]):
        return argument
    escaped = re.sub(r"(\\*)'", r"\1\1\\'", match[2])  # \' is a quote; backslashes count only before a quote
    escaped = re.sub(r"(\\+)$", r"\1\1", escaped)
    return f"{match[1]}='{escaped}'"


def sentence(error: BaseException) -> str:
    """The message of the innermost `UserError`, else of the error itself, on one line."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, UserError):
        cause = cause.__cause__
    return " ".join(str(cause or error).split())


def fail(message: str, code: int) -> int:
    """Say what is wrong on stderr; returns the exit code."""
    print(f"vlogger.generate: {message}", file=sys.stderr)
    return code


@hydra.main(version_base="1.3", config_path="pkg://conf", config_name="generate")
def run(cfg: DictConfig) -> None:
    """Read what is given, build the stages, make the video, say how it went."""
    check(cfg)
    cfg.fps = float(cfg.fps)
    import torch

    from vlogger.record import write_record

    if cfg.threads:
        torch.set_num_threads(cfg.threads)
    with ExitStack() as stack:
        sound = stack.enter_context(sound_file(cfg))
        files = {key: stack.enter_context(output(cfg[key])) for key in ("out", *SAVED) if cfg[key]}
        record_file = stack.enter_context(output(str(Path(cfg.out).with_suffix(".json"))))
        known, cost = make(cfg, files, sound)
        write_record(record_file, {**known, **cost})
    print(summary(cfg, cost))


def make(cfg: DictConfig, files: dict[str, Path], sound: Path | None) -> tuple[dict[str, object], dict[str, Any]]:
    """Write the video and what was asked for beside it; returns what decided about its bytes, and what it cost."""
    from time import perf_counter

    from vlogger.io_video import join_videos
    from vlogger.progress import Progress
    from vlogger.record import peak_memory
    from vlogger.resume import Remembering, going_on, read_point, work_folder, write_segments

    portrait, audio = load_inputs(cfg, sound)
    begin, progress = perf_counter(), Progress()
    with progress.clock("load"):
        vlogger = build(cfg)
        known = facts(cfg, vlogger, sound)
    with work_folder(Path(cfg.out).expanduser(), resume_key(cfg, known)) as folder:
        vlogger, point = going_on(vlogger, read_point(folder))
        progress.start = point.start
        painter = Remembering(vlogger.video, point)
        pipeline = watched(saving(replace(vlogger, video=painter), files), progress)
        size = None if cfg.size == "source" else cfg.size
        clips = pipeline(portrait, audio, size=size, seed=cfg.seed, start=point.start)
        del audio  # it has been heard: an hour of sound is not kept in memory
        with progress.clock("write"):
            frames, fps = join_videos(files["out"], write_segments(folder, clips, point, painter), sound)
    cost = {
        "frames": frames,
        "fps": fps,
        "resumed_at": min(point.finished, frames),
        "stage_seconds": progress.clock.seconds,
        "wall_seconds": perf_counter() - begin,
        "peak_memory_bytes": peak_memory(),
    }
    return known, cost


def resume_key(cfg: DictConfig, known: dict[str, Any]) -> str | None:
    """What an interrupted run must have in common with this one; None if it is not to be continued, or cannot be,
    because what passes between the stages is saved too."""
    from vlogger.resume import key_of

    if not cfg.resume or any(cfg[key] for key in ("controls_out", "video_out", "superres_out")):
        return None
    config = {key: value for key, value in known["config"].items() if key not in ("out", *SAVED)}
    return key_of({**known, "command": None, "config": config})


def check(cfg: DictConfig) -> None:
    """Refuse what can be refused before anything heavy is loaded."""
    if cfg.size != "source" and cfg.size not in SIZES:
        raise UserError(f"size={cfg.size} is none of 128, 256, 512, source")
    if isinstance(cfg.seed, bool) or not isinstance(cfg.seed, int) or not 0 <= cfg.seed < 2**60:
        raise UserError(f"seed={cfg.seed} is not a whole number from 0 to 2^60")
    if isinstance(cfg.fps, bool) or not isinstance(cfg.fps, (int, float)) or not 1 <= cfg.fps <= 120:
        raise UserError(f"fps={cfg.fps} is not a number of frames per second from 1 to 120")
    if cfg.audio and cfg.text:
        raise UserError("audio= and text= exclude each other; give one of them")
    endings = {"out": ".mp4", **SAVED}
    for key, ending in endings.items():
        if cfg[key] and Path(str(cfg[key])).suffix.lower() != ending:
            raise UserError(f"{key}={cfg[key]} must end in {ending}")
    written = [Path(str(cfg[key])).resolve() for key in endings if cfg[key]]
    read = [Path(str(cfg[key])).resolve() for key in ("image", "audio") if cfg[key]]
    read += [Path(str(cfg[stage].path)).resolve() for stage in STAGES if is_file_stage(cfg, stage)]
    if len(set(written)) < len(written) or set(written) & set(read):
        raise UserError("an output has the name of an input or of another output; give it a name of its own")


def is_file_stage(cfg: DictConfig, stage: str) -> bool:
    """Whether a stage only reads a file."""
    return str(cfg[stage].get("_target_", "")).startswith("vlogger.from_file.")


def output(path: str) -> Any:
    """See `vlogger.io.whole`."""
    from vlogger.io import whole

    return whole(Path(path).expanduser())


@contextmanager
def sound_file(cfg: DictConfig) -> Iterator[Path | None]:
    """The file with the sound of the video: the recording, or the spoken text as a temporary WAV, or none."""
    from tempfile import TemporaryDirectory

    from hydra.utils import instantiate

    from vlogger.io_audio import save_audio

    if not cfg.text:
        yield Path(str(cfg.audio)).expanduser() if cfg.audio else None
        return
    with TemporaryDirectory(prefix="vlogger-") as folder:
        path = Path(folder) / "speech.wav"
        save_audio(path, instantiate(cfg.speech)(str(cfg.text)))
        yield path


def load_inputs(cfg: DictConfig, sound: Path | None) -> tuple["Portrait", "Audio"]:
    """The picture and the sound; either may be left out where its stage is a file (no sound: an empty one)."""
    import torch

    from vlogger.io import load_portrait
    from vlogger.io_audio import load_audio
    from vlogger.io_values import load_subject
    from vlogger.types import Audio

    if not cfg.image and not is_file_stage(cfg, "subject"):
        raise UserError("no picture is given; add image=PHOTO (image=astronaut is a picture to try)")
    if sound is None and not is_file_stage(cfg, "motion"):
        raise UserError('no speech is given; add audio=RECORDING or text="A sentence."')
    portrait = load_portrait(picture(cfg)) if cfg.image else load_subject(cfg.subject.path).portrait
    return portrait, load_audio(sound) if sound else Audio(torch.zeros(0), 16000)


def picture(cfg: DictConfig) -> Path:
    """The path of the picture; the word astronaut means the one that scikit-image ships, unless such a file exists."""
    path = Path(str(cfg.image)).expanduser()
    if str(cfg.image) == "astronaut" and not path.exists():
        import skimage.data

        return Path(str(skimage.data.__file__)).with_name("astronaut.png")
    return path


def saving(vlogger: "Vlogger", files: dict[str, Path]) -> "Vlogger":
    """The same pipeline, writing what is asked for on its way."""
    from vlogger import from_file

    if path := files.get("subject_out"):
        vlogger = replace(vlogger, subject=from_file.SaveSubject(vlogger.subject, path))
    if path := files.get("motion_out"):
        vlogger = replace(vlogger, motion=from_file.SaveMotion(vlogger.motion, path, vlogger.body.expression_names))
    if path := files.get("controls_out"):
        vlogger = replace(vlogger, render=from_file.SaveControls(vlogger.render, path))
    if path := files.get("video_out"):
        vlogger = replace(vlogger, video=from_file.SaveVideo(vlogger.video, path))
    if path := files.get("superres_out"):
        vlogger = replace(vlogger, superres=from_file.SaveUpscale(vlogger.superres, path))
    return vlogger


def watched(vlogger: "Vlogger", progress: "Progress") -> "Vlogger":
    """The same pipeline with a bar and a clock at each stage."""
    return replace(
        vlogger,
        subject=progress.see(vlogger.subject),
        motion=progress.hear(vlogger.motion),
        render=progress.draw(vlogger.render),
        video=progress.paint(vlogger.video),
        superres=progress.sharpen(vlogger.superres),
    )


def facts(cfg: DictConfig, vlogger: "Vlogger", sound: Path | None) -> dict[str, object]:
    """What decides about the bytes of the video."""
    from vlogger.io import sha256
    from vlogger.io_audio import handling
    from vlogger.record import input_files, surroundings, weights_of

    config = OmegaConf.to_container(cfg, resolve=True)
    assert isinstance(config, dict)
    inputs = input_files({str(key): value for key, value in config.items()}, {"out", *SAVED})
    if cfg.image:
        inputs["image"] = {"path": str(picture(cfg)), "sha256": sha256(picture(cfg))}
    stages = {name: getattr(vlogger, name) for name in (*STAGES, "body")}
    return {
        **surroundings(),
        "command": ["python", "-m", "vlogger.generate", *sys.argv[1:]],
        "seed": cfg.seed,
        "config": config,
        "inputs": inputs,
        "weights": weights_of(stages),
        "audio": handling(sound) if sound else "none",
    }


def summary(cfg: DictConfig, cost: dict[str, Any]) -> str:
    """One line: what came out, and what it cost."""
    lasts, wall, peak = cost["frames"] / cost["fps"], cost["wall_seconds"], cost["peak_memory_bytes"]
    stages = ", ".join(f"{name} {seconds:.1f}" for name, seconds in cost["stage_seconds"].items())
    return (
        f"{cfg.out}: {cost['frames']} frames, {lasts:.2f} s at {cost['fps']:g} fps, made in {wall:.1f} s "
        f"({wall / lasts:.2f} s per s; {stages}), peak memory {peak / 2**30:.2f} GB, seed {cfg.seed}"
    )


if __name__ == "__main__":
    main()
