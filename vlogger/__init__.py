"""vlogger: one portrait photo and one speech recording become a video of that person talking."""

import os
from importlib.util import find_spec
from pathlib import Path

__version__ = "0.1.0"

SPINS = "10000"  # how long a thread of OpenMP waits for the others before it sleeps: some 50 microseconds

SIBLINGS = ("motion", "render", "video_diffusion", "superres", "conf")


def _check_siblings() -> None:
    """The stage packages have generic names: make sure that ours are found, and not somebody else's."""
    root = Path(__file__).resolve().parent.parent
    for name in SIBLINGS:
        spec = find_spec(name)
        if spec is None or not spec.submodule_search_locations:
            raise ImportError(
                f"vlogger needs its package '{name}' beside it in {root}: "
                f"reinstall vlogger (pip install --force-reinstall vlogger)"
            )
        found = Path(next(iter(spec.submodule_search_locations))).resolve()
        if found != root / name:
            raise ImportError(
                f"vlogger needs its own package '{name}' ({root / name}), but '{found}' comes first on sys.path: "
                f"rename or remove that folder, or start Python elsewhere"
            )


def _wait_briefly() -> None:
    """Threads that wait for others should not keep a core that somebody else could use.

    GNU's OpenMP, which PyTorch's own wheels bring along, lets them spin for milliseconds: on a machine with other work
    everything then takes several times as long (docs/paint.md, Speed). To be told before PyTorch is loaded; what the
    environment says stands.
    """
    if not {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"} & set(os.environ):
        os.environ["GOMP_SPINCOUNT"] = SPINS


_check_siblings()
_wait_briefly()
