"""Pictures and clips of one person become pools and tracked speech: made from one public-domain photo that moves."""

import json

import numpy as np
import pytest
import skimage.data
import torch
from PIL import Image

from motion.clips import load_clips
from render.controls import MeshControls
from vlogger.body.skeleton import joint_index
from vlogger.body.smplx import load_body, pose
from vlogger.curation.pairs import Pairs
from vlogger.curation.speech import TrackedSpeech
from vlogger.errors import UserError
from vlogger.io_audio import save_audio
from vlogger.io_video import write_video
from vlogger.types import Audio, Video

SHIFTS = (0, 3, 6, 9)  # pixels to the right, picture by picture


@pytest.fixture(scope="module")
def body():
    return load_body()


@pytest.fixture(scope="module")
def pictures():
    """(4, 3, 256, 256) uint8: a camera that moves past one person."""
    photo = skimage.data.astronaut()
    crops = [photo[:256, 110 - shift : 366 - shift] for shift in SHIFTS]
    return torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).contiguous()


@pytest.fixture(scope="module")
def clips(pictures, tmp_path_factory):
    """A folder with one talking clip, a third of a second long."""
    folder = tmp_path_factory.mktemp("clips")
    noise = torch.rand(16000 * 8 // 25, generator=torch.Generator().manual_seed(0)) - 0.5
    save_audio(folder / "sound.wav", Audio(noise, 16000))
    frames = pictures.repeat_interleave(2, dim=0)
    write_video(folder / "one.mp4", iter([Video(frames, 25.0)]), folder / "sound.wav")
    return folder


def pool(folder):
    arrays = {path.stem: np.load(path) for path in folder.glob("*.npy")}
    return arrays, json.loads((folder / "meta.json").read_text())


def nearer_than_the_photo(arrays) -> bool:
    """Whether the warp is closer to the truth than the reference is, where it is known."""
    known = np.repeat(arrays["visible"][:, 0] == 255, 3, axis=1)
    truth = arrays["target"][:, 0].astype(int)
    warp, photo = (np.abs(arrays[name].reshape(truth.shape) - truth)[known].mean() for name in ("warped", "photo"))
    return bool(warp < 0.6 * photo)


def test_pictures_of_one_person_become_pairs(pictures, body, tmp_path):
    data, out = tmp_path / "data", tmp_path / "pool"
    data.mkdir()
    for number, picture in enumerate(pictures):
        Image.fromarray(picture.permute(1, 2, 0).numpy()).save(data / f"face_007_{number}_x.png")
    Pairs(str(data), str(out), "people", MeshControls(body), body, 3, 1, 64, 0, "public domain")()
    arrays, meta = pool(out)
    assert arrays["target"].shape == (3, 1, 3, 64, 64) and meta["licence"] == "public domain"
    assert nearer_than_the_photo(arrays)


def test_a_clip_becomes_samples_of_several_frames(clips, body, tmp_path):
    Pairs(str(clips), str(tmp_path / "pool"), "talking", MeshControls(body), body, 2, 3, 64, 0, "public domain")()
    arrays, _ = pool(tmp_path / "pool")
    assert arrays["target"].shape == (2, 3, 3, 64, 64)
    assert not (arrays["target"] == arrays["photo"][:, None]).all(axis=(2, 3, 4)).any()


def test_a_clip_becomes_tracked_speech(clips, body, tmp_path):
    TrackedSpeech(str(clips), str(tmp_path / "speech"), body)()
    (clip,) = load_clips(tmp_path / "speech")
    motion = clip.motion
    joints = pose(body, torch.zeros(1), motion.rotations, motion.expression, motion.translation).joints
    metres = joints[:, joint_index("head"), 0]
    assert len(motion) == 8 and 0.005 < metres[-1] - metres[0] < 0.05
    assert abs(len(clip.samples) / clip.sample_rate - 8 / 25) < 0.05


def test_a_folder_without_clips_is_an_error(body, tmp_path):
    with pytest.raises(UserError, match="no clips"):
        TrackedSpeech(str(tmp_path), str(tmp_path / "speech"), body)()
