"""What a second of video costs: the whole command at each size, and what the peers' denoiser alone would need.

    python -m benchmarks.generate SPEECH [--sizes 128 256 512] [--threads 2] [--fast] [--image astronaut] [--no-peer]

For each size: wall and CPU seconds for each second of video, without and with the start of the program, the share of
each stage, and the peak of memory; `--fast` takes video=fast. On a machine that others use too, read the CPU column.

The peer: one call of a denoiser of Stable Diffusion 1.5's size (diffusers' UNet2DConditionModel in the shape of SD 1.5,
860 M parameters, random weights, one frame, latents of an eighth of the size), in this same run. Diffusion peers
(Hallo, EMO, AniPortrait) call such a network 25 to 40 times for each frame, each call with a reference network,
temporal layers and guidance besides, which are not counted here. Ratio: 24 frames of 25 and of 40 calls against ours.
"""

import argparse
import json
import resource
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time

import torch

STARTING = ("load", "see", "hear")  # once for a video, however long
CALLS = (25, 40)  # of the denoiser for each frame: Hallo and AniPortrait 25 to 40, EMO 40
FPS = 24


@dataclass(frozen=True)
class Cost:
    """Of one generation: seconds of video, of wall clock, of CPU, wall seconds of each stage, bytes at the peak."""

    video: float
    wall: float
    cpu: float
    stages: dict[str, float]
    peak: float

    @property
    def running(self) -> float:
        """Share of the wall time that grows with the video's length."""
        return 1 - sum(self.stages.get(name, 0.0) for name in STARTING) / sum(self.stages.values())


def main() -> None:
    options = parsed()
    if not options.no_peer:
        torch.set_num_threads(options.threads)
    header = ("size", "wall s/s", "CPU s/s", "+ start", "GB", "shares of the stages, %")
    print("{:>5}{:>10}{:>10}{:>10}{:>7}   {}".format(*header), flush=True)
    costs = {}
    for size in options.sizes:
        costs[size] = generation(options, size)
        print(row(size, costs[size]), flush=True)
    if options.no_peer:
        return
    network = peer()
    print(f"\npeer: one call, {sum(p.numel() for p in network.parameters()) / 1e6:.0f} M parameters, CPU seconds")
    for size, cost in costs.items():
        call = seconds_of_call(network, size)
        ours = cost.cpu * cost.running / cost.video
        ratios = " to ".join(f"{FPS * calls * call / ours:.0f}" for calls in CALLS)
        print(f"{size:5}{call:10.2f}   times ours: {ratios}", flush=True)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("speech")
    parser.add_argument("--image", default="astronaut")
    parser.add_argument("--sizes", type=int, nargs="+", default=[128, 256, 512])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--fast", action="store_true")
    parser.add_argument("--no-peer", action="store_true")
    return parser.parse_args()


def generation(options: argparse.Namespace, size: int) -> Cost:
    """Run the command as a person would."""
    with TemporaryDirectory() as folder:
        out = Path(folder) / "a.mp4"
        arguments = [f"image={options.image}", f"audio={options.speech}", f"size={size}", f"out={out}"]
        arguments += [f"threads={options.threads}", f"video={'fast' if options.fast else 'default'}"]
        before = children()
        subprocess.run(
            [sys.executable, "-m", "vlogger.generate", *arguments], check=True, capture_output=True, text=True
        )
        record = json.loads(out.with_suffix(".json").read_text())
    return Cost(
        record["frames"] / record["fps"],
        record["wall_seconds"],
        children() - before,
        record["stage_seconds"],
        record["peak_memory_bytes"] / 2**30,
    )


def children() -> float:
    """CPU seconds of the processes that this one has run."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def row(size: int, cost: Cost) -> str:
    running = {name: seconds for name, seconds in cost.stages.items() if name not in STARTING}
    total = sum(running.values())
    shares = ", ".join(f"{name} {100 * seconds / total:.0f}" for name, seconds in running.items())
    wall, cpu = (value * cost.running / cost.video for value in (cost.wall, cost.cpu))
    return f"{size:5}{wall:10.2f}{cpu:10.2f}{cost.cpu / cost.video:10.2f}{cost.peak:7.2f}   {shares}"


def peer() -> torch.nn.Module:
    """A U-Net in the shape of Stable Diffusion 1.5: the defaults of diffusers with its text width of 768."""
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

    return UNet2DConditionModel(cross_attention_dim=768, attention_head_dim=8).eval().requires_grad_(False)


@torch.inference_mode()
def seconds_of_call(network: torch.nn.Module, size: int, repeats: int = 2) -> float:
    """CPU seconds of one call for one frame, after one to warm up."""
    latent, text = torch.randn(1, 4, size // 8, size // 8), torch.randn(1, 77, 768)
    network(latent, torch.tensor([500]), text)
    began = process_time()
    for _ in range(repeats):
        network(latent, torch.tensor([500]), text)
    return (process_time() - began) / repeats


if __name__ == "__main__":
    main()
