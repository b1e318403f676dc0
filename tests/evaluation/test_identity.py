"""The face's chip, the network's arithmetic, and the shape of heads. The real weights need a download."""

import json

import numpy as np
import pytest
import torch

from vlogger.evaluation import identity


def weights():
    """Chance weights of the right shapes."""
    chance, found, width = torch.Generator().manual_seed(0), {}, 32

    def conv(name, inward, outward, kernel):
        found[f"{name}/conv/filters"] = 0.3 * torch.randn(kernel, kernel, inward, outward, generator=chance) / kernel
        found[f"{name}/conv/bias"] = torch.zeros(outward)
        found[f"{name}/scale/weights"], found[f"{name}/scale/biases"] = torch.ones(outward), torch.zeros(outward)

    conv("conv32_down", 3, 32, 7)
    for _, name in identity.BLOCKS:
        outward = int(name.split("_")[0].removeprefix("conv"))
        conv(f"{name}/conv1", width, outward, 3)
        conv(f"{name}/conv2", outward, outward, 3)
        width = outward
    found["fc"] = torch.randn(256, 128, generator=chance)
    return found


def test_weights_are_read_from_a_quantised_file(tmp_path):
    packed = np.array([0, 1, 255], np.uint8)
    manifest = {"name": "a", "shape": [3], "dtype": "float32"}
    manifest |= {"quantization": {"dtype": "uint8", "scale": 0.5, "min": -1.0}}
    plain = {"name": "b", "shape": [1, 2], "dtype": "float32"}
    (tmp_path / "w.bin").write_bytes(packed.tobytes() + np.array([3, 4], "<f4").tobytes())
    (tmp_path / "m-weights_manifest.json").write_text(json.dumps([{"paths": ["w.bin"], "weights": [manifest, plain]}]))
    found = identity.read_quantised(tmp_path, "m")
    assert found["a"].tolist() == [-1, -0.5, 126.5] and found["b"].tolist() == [[3, 4]]


def test_the_network_gives_128_numbers_that_depend_on_the_face(film):
    network = identity.FaceEmbedding(weights()).eval()
    found = identity.embeddings(network, film.frames[[0, 5]], film.points[[0, 5]])
    assert found.shape == (2, 128) and torch.isfinite(found).all()
    same = identity.compared(found[:1], found[0])
    assert same["identity_distance"] == 0 and same["identity_cosine"] == pytest.approx(1)
    flipped = identity.embeddings(network, film.frames[:1].flip(1), film.points[:1])
    assert identity.compared(flipped, found[0])["identity_distance"] > 0
    assert np.isnan(identity.compared(found[:0], found[0])["identity_distance"])


def test_the_chip_holds_the_eyes_where_dlib_wants_them(film):
    """A white dot at each of the five places comes out at its place in the chip."""
    points = film.points[0]
    frame = torch.zeros(3, 256, 256)
    for number in identity.PLACES:
        x, y = points[number, :2].round().astype(int)
        frame[:, y - 1 : y + 2, x - 1 : x + 2] = 255
    chip = identity.chip_of(frame.byte(), points)[0].numpy()
    for x, y in (np.array(list(identity.PLACES.values())) + 0.25) / 1.5 * 150:
        around = chip[int(y) - 12 : int(y) + 13, int(x) - 12 : int(x) + 13]
        assert around.max() > 60


def test_a_tilted_picture_gives_the_same_chip(film):
    points, frame = film.points[0], film.frames[0]
    straight = identity.chip_of(frame, points)
    turned = np.stack([points[:, 1], 256 - points[:, 0], points[:, 2]], axis=1)
    tilted = identity.chip_of(frame.permute(0, 2, 1).flip(1), turned)
    assert (straight - tilted).abs().mean() < 2


def test_head_shapes_in_millimetres():
    head = torch.randn(50, 3, generator=torch.Generator().manual_seed(0))
    assert identity.head_shape_distance(head, head + 7) == pytest.approx(0, abs=1e-3)
    grown = head - head.mean(0)
    assert identity.head_shape_distance(1.1 * grown, grown) == pytest.approx(100 * float(grown.norm(dim=1).mean()))
