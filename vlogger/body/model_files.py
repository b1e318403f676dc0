"""Body model files: SMPL-X and FLAME, .npz or .pkl, as arrays in SMPL-X's layout.

The .pkl files of the SMPL family are pickles of Python 2 that hold chumpy objects and scipy matrices. They are read
without chumpy, and nothing but arrays can come out of them: a pickle that asks for anything else is refused.

FLAME (Li et al. 2017) has five joints. They take the places of SMPL-X's neck (FLAME's root), head (its neck), jaw and
eyes; the other fifty fall together with the root, so that turning the pelvis turns the whole head about FLAME's root.
"""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from vlogger.body.landmarks import MEDIAPIPE_COUNT
from vlogger.body.skeleton import JOINTS, joint_index
from vlogger.errors import UserError

NEEDED = ("v_template", "f", "shapedirs", "posedirs", "J_regressor", "weights")
EXTRA = (
    *("lmk_faces_idx", "lmk_bary_coords", "dynamic_lmk_faces_idx", "dynamic_lmk_bary_coords"),
    *("mp_faces", "mp_bary", "expression_names", "face_part", "mouth_region"),
)
FLAME_JOINTS = ("neck", "head", "jaw", "left_eye", "right_eye")  # whose places FLAME's five take, in FLAME's order
CURE = "give an SMPL-X or FLAME model (SMPLX_NEUTRAL.npz, FLAME_NEUTRAL.pkl), or nothing to use the open body"


def read_model(path: Path) -> dict[str, NDArray]:
    """The arrays of a model file, those of `NEEDED` and the landmarks `lmk_*` for sure; joints 55. UserError if not."""
    if not path.is_file():
        raise UserError(f"There is no body model at {path}: {CURE}.")
    arrays = _read_pickle(path) if path.suffix == ".pkl" else _read_npz(path)
    missing = [name for name in NEEDED if name not in arrays]
    if missing:
        raise UserError(f"{path} is not an SMPL-X or FLAME model, it lacks {', '.join(missing)}: {CURE}.")
    joints = arrays["weights"].shape[-1]
    if joints == len(FLAME_JOINTS):
        arrays = _in_smplx_layout(arrays | _flame_landmarks(path.parent))
    elif joints != len(JOINTS):
        raise UserError(f"{path} has {joints} joints, SMPL-X has {len(JOINTS)} and FLAME {len(FLAME_JOINTS)}: {CURE}.")
    return _with_landmarks(arrays)


def _read_npz(path: Path) -> dict[str, NDArray]:
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in (*NEEDED, *EXTRA) if name in file}
    except Exception as error:  # numpy raises half a dozen kinds for a file that is no archive
        raise UserError(f"{path} is not a readable .npz archive ({error}): {CURE}.") from error


def _read_pickle(path: Path) -> dict[str, NDArray]:
    try:
        with path.open("rb") as file:
            content = _ArraysOnly(file, encoding="latin1").load()
        return {name: _array(content[name]) for name in (*NEEDED, *EXTRA) if name in content}
    except Exception as error:  # pickle and what it builds raise many kinds
        raise UserError(f"{path} is not a readable model ({error}): {CURE}.") from error


class _Chumpy:
    """Stands for any chumpy object: keeps what the pickle says of it."""

    def __setstate__(self, state: dict) -> None:
        self.__dict__.update(state)


class _ArraysOnly(pickle.Unpickler):
    """Builds numpy arrays, scipy's sparse matrices and stand-ins of chumpy's objects; anything else is an error."""

    def find_class(self, module: str, name: str) -> object:
        if module.split(".")[0] == "chumpy":
            return _Chumpy
        if module.split(".")[:2] == ["scipy", "sparse"] and name in ("csc_matrix", "csr_matrix", "coo_matrix"):
            return getattr(scipy.sparse, name)
        if (module, name) in _HARMLESS:
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"it asks for {module}.{name}")


# As Python 3 names them: pickle translates what Python 2 called __builtin__ and copy_reg before it asks.
_HARMLESS = {
    *(("copyreg", "_reconstructor"), ("builtins", "object"), ("_codecs", "encode"), ("collections", "OrderedDict")),
    *(("numpy", "ndarray"), ("numpy", "dtype")),
    *((f"numpy.{core}.multiarray", name) for core in ("core", "_core") for name in ("_reconstruct", "scalar")),
}


def _array(value: Any) -> NDArray:
    """An array as such, a sparse matrix, a chumpy variable (`x`) or a selection of another (`a`, `idxs`)."""
    if scipy.sparse.issparse(value):
        return value.toarray()
    if not isinstance(value, _Chumpy):
        return np.asarray(value)
    parts = vars(value)
    if "x" in parts:
        return _array(parts["x"])
    chosen = _array(parts["a"]).ravel()[_array(parts["idxs"])]
    return chosen.reshape(parts.get("preferred_shape", chosen.shape))


def _flame_landmarks(folder: Path) -> dict[str, NDArray]:
    """What lies beside a FLAME file under the names that FLAME's authors gave: iBUG's 51 points and MediaPipe's 105."""
    found, ibug, mediapipe = {}, folder / "flame_static_embedding.pkl", folder / "mediapipe_landmark_embedding.npz"
    if ibug.is_file():
        with ibug.open("rb") as file:
            points = _ArraysOnly(file, encoding="latin1").load()
        found = {"lmk_faces_idx": points["lmk_face_idx"], "lmk_bary_coords": points["lmk_b_coords"]}
    if mediapipe.is_file():
        with np.load(mediapipe) as points:
            face, bary = np.full(MEDIAPIPE_COUNT, -1, np.int64), np.zeros((MEDIAPIPE_COUNT, 3), np.float32)
            face[points["landmark_indices"]] = points["lmk_face_idx"]
            bary[points["landmark_indices"]] = points["lmk_b_coords"]
        found |= {"mp_faces": face, "mp_bary": bary}
    return found


def _in_smplx_layout(arrays: dict[str, NDArray]) -> dict[str, NDArray]:
    """FLAME's five joints among fifty-five."""
    places = [joint_index(name) for name in FLAME_JOINTS]
    weights = np.zeros((len(arrays["weights"]), len(JOINTS)), np.float32)
    weights[:, places] = arrays["weights"]
    regressor = np.repeat(arrays["J_regressor"][:1], len(JOINTS), axis=0)
    regressor[places] = arrays["J_regressor"]
    posedirs = np.zeros((len(weights), 3, len(JOINTS) - 1, 9), np.float32)
    bends = arrays["posedirs"].reshape(len(weights), 3, len(FLAME_JOINTS) - 1, 9)
    posedirs[:, :, [place - 1 for place in places[1:]]] = bends
    return arrays | {"weights": weights, "J_regressor": regressor, "posedirs": posedirs.reshape(len(weights), 3, -1)}


def _with_landmarks(arrays: dict[str, NDArray]) -> dict[str, NDArray]:
    """iBUG's 51 points marked as unknown where the file has none."""
    unknown = {"lmk_faces_idx": np.full(51, -1, np.int64), "lmk_bary_coords": np.zeros((51, 3), np.float32)}
    return unknown | arrays
