"""Does the main job hold on real input? Every portrait speaks every recording, and the finished videos are measured.

    python -m benchmarks.acceptance --portraits A.jpg B.png … --audio S.flac … --out FOLDER [OVERRIDES …]

For each video: share of frames in which the detector finds a face (and the distance of its place from the photo's),
lip aperture (inner lips 13-14 over the distance of the pupils) in speech and in silence as standard deviation and mean
speed, the largest difference to the source's own pixels outside the generated square, seconds, peak memory.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import numpy as np

from vlogger.evaluation.faces import aperture, follow
from vlogger.evaluation.silence import speech_by_level
from vlogger.io_audio import load_audio

BORDER = 8  # pixels at the picture's rim, where nothing is ever generated around a head in the middle


def generated(portrait: Path, audio: Path, out: Path, overrides: list[str]) -> dict:
    """Run the command; what its .json says."""
    command = [sys.executable, "-m", "vlogger.generate", f"image={portrait}", f"audio={audio}", f"out={out}"]
    subprocess.run([*command, "face=largest", *overrides], check=True, stdout=subprocess.DEVNULL)
    return json.loads(out.with_suffix(".json").read_text())


def frames_of(path: Path) -> np.ndarray:
    """(t, h, w, 3) uint8."""
    import av

    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def measured(video: Path, audio: Path, every: int) -> dict:
    """The figures of one finished video; the face is looked for in every `every`-th frame."""
    frames = frames_of(video)
    points = follow(frames[::every])
    speech = speech_by_level(load_audio(audio), len(frames), 24.0)[::every]
    opened = aperture(points)
    rim = np.concatenate(
        [frames[:, :, :BORDER].reshape(len(frames), -1), frames[:, :, -BORDER:].reshape(len(frames), -1)], 1
    )
    speed = np.abs(np.diff(opened, prepend=opened[:1]))
    return {
        "frames": len(frames),
        "face_found": float(np.isfinite(points[:, 0, 0]).mean()),
        "aperture_speech": float(np.nanmean(opened[speech])),
        "aperture_silence": float(np.nanmean(opened[~speech])) if (~speech).any() else None,
        "lip_speed_speech": float(np.nanmean(speed[speech])),
        "lip_speed_silence": float(np.nanmean(speed[~speech])) if (~speech).any() else None,
        "rim_flicker": float(rim.astype(float).std(0).mean()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--portraits", nargs="+", type=Path, required=True)
    parser.add_argument("--audio", nargs="+", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--every", type=int, default=3, help="look for the face in every N-th frame")
    arguments, overrides = parser.parse_known_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    rows = []
    for portrait in arguments.portraits:
        for audio in arguments.audio:
            out = arguments.out / f"{portrait.stem[-24:]}__{audio.stem[-24:]}.mp4"
            record = generated(portrait, audio, out, overrides)
            row = {"portrait": portrait.stem, "audio": audio.stem, **measured(out, audio, arguments.every)}
            rows.append(row | {"record": record})
            print(json.dumps(row), flush=True)
    (arguments.out / "acceptance.json").write_text(json.dumps(rows, indent=1))
    print(f"{len(rows)} videos, face found in {min(row['face_found'] for row in rows):.1%} of frames at worst")


if __name__ == "__main__":
    main()
