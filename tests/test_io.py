import io
import os

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms

from vlogger.errors import UserError
from vlogger.io import LARGEST_SIDE, load_portrait, sha256, whole


def gradient(height=6, width=9):
    """A picture whose pixels are all different."""
    y, x = np.mgrid[:height, :width]
    return np.stack([20 * y + 5, 20 * x + 3, 255 - 10 * (x + y)], -1).astype(np.uint8)


def saved(tmp_path, image, name, **options):
    image.save(tmp_path / name, **options)
    return load_portrait(tmp_path / name).image.permute(1, 2, 0).numpy()


@pytest.mark.parametrize("ending", ["png", "bmp", "tiff", "webp", "ppm", "tga"])
def test_lossless_formats_give_the_same_pixels(tmp_path, ending):
    options = {"lossless": True} if ending == "webp" else {}
    assert np.array_equal(saved(tmp_path, Image.fromarray(gradient()), f"a.{ending}", **options), gradient())


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_picture_stands_upright_whatever_exif_says(tmp_path, orientation):
    turn = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.swapaxes(0, 1),
        6: lambda a: np.rot90(a, 1),
        7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
        8: lambda a: np.rot90(a, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.fromarray(np.ascontiguousarray(turn(gradient())))
    assert np.array_equal(saved(tmp_path, stored, "a.png", exif=exif), gradient())


def test_transparency_is_over_white(tmp_path):
    alpha = np.zeros((6, 9, 1), np.uint8)
    alpha[:, 4:] = 255
    pixels = saved(tmp_path, Image.fromarray(np.concatenate([gradient(), alpha], -1)), "a.png")
    assert (pixels[:, :4] == 255).all() and np.array_equal(pixels[:, 4:], gradient()[:, 4:])


def test_a_palette_with_a_transparent_colour(tmp_path):
    image = Image.fromarray(np.array([[0, 1], [1, 0]], np.uint8), mode="P")
    image.putpalette([10, 20, 30, 200, 100, 50])
    pixels = saved(tmp_path, image, "a.png", transparency=0)
    assert pixels.tolist() == [[[255] * 3, [200, 100, 50]], [[200, 100, 50], [255] * 3]]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "RGBA", "CMYK", "YCbCr", "HSV"])
def test_every_mode_becomes_rgb(tmp_path, mode):
    ending = {"YCbCr": "jpg", "CMYK": "tiff", "HSV": "tiff"}.get(mode, "png")
    image = Image.fromarray(gradient()).convert("RGB" if mode == "HSV" else mode)
    pixels = saved(tmp_path, image, f"a.{ending}")
    assert pixels.shape == (6, 9, 3) and pixels.std() > 10


def test_sixteen_bit_grey(tmp_path):
    values = np.array([[0, 257 * 100], [65535, 257 * 7]], np.uint16)
    assert saved(tmp_path, Image.fromarray(values), "a.png")[..., 0].tolist() == [[0, 100], [255, 7]]


def test_float_grey(tmp_path):
    values = np.array([[0.0, 0.5], [1.0, np.nan]], np.float32)
    assert saved(tmp_path, Image.fromarray(values), "a.tiff")[..., 1].tolist() == [[0, 128], [255, 0]]


def test_an_animation_gives_its_first_frame(tmp_path):
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    assert saved(tmp_path, frames[0], "a.gif", save_all=True, append_images=frames[1:])[0, 0].tolist() == [255, 0, 0]


def test_a_colour_profile_is_converted(tmp_path):
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
    image = Image.fromarray(np.full((4, 4, 3), (128, 0, 0), np.uint8), mode="LAB")
    pixels = saved(tmp_path, image, "a.tiff", icc_profile=lab.tobytes())
    grey = pixels.reshape(-1, 3).astype(int)
    assert np.ptp(grey, axis=1).max() <= 3 and 110 < grey.mean() < 130  # L* = 50 is the grey 119 of sRGB


def test_a_broken_profile_is_said_and_left_out(tmp_path, caplog):
    pixels = saved(tmp_path, Image.fromarray(gradient()), "a.png", icc_profile=b"nonsense")
    assert np.array_equal(pixels, gradient()) and "profile" in caplog.text


def test_a_huge_picture_is_reduced_and_that_is_said(tmp_path, caplog):
    pixels = saved(tmp_path, Image.new("RGB", (LARGEST_SIDE + 100, 10), "red"), "a.png")
    assert pixels.shape[1] == LARGEST_SIDE and (pixels == [255, 0, 0]).all() and "reduced" in caplog.text


def test_a_decompression_bomb_is_refused(tmp_path):
    Image.new("1", (20000, 20000)).save(tmp_path / "a.png")
    with pytest.raises(UserError, match=r"a\.png has too many pixels"):
        load_portrait(tmp_path / "a.png")


@pytest.mark.parametrize(
    "content, says",
    [
        (None, "does not exist"),
        (b"", "empty"),
        (b"\x89PNG\r\n\x1a\n", "a.png"),
        (b"hello", "not a picture"),
    ],
)
def test_what_is_no_picture_is_refused_in_one_sentence(tmp_path, content, says):
    if content is not None:
        (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(UserError, match=says) as error:
        load_portrait(tmp_path / "a.png")
    assert "\n" not in str(error.value) and "a.png" in str(error.value)


@pytest.mark.parametrize("ending", ["png", "jpg", "webp", "tiff", "gif"])
def test_a_truncated_picture_is_refused(tmp_path, ending):
    buffer = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(buffer, {"jpg": "jpeg"}.get(ending, ending))
    (tmp_path / f"a.{ending}").write_bytes(buffer.getvalue()[: len(buffer.getvalue()) // 2])
    with pytest.raises(UserError, match=f"a.{ending}"):
        load_portrait(tmp_path / f"a.{ending}")


def test_a_folder_is_no_picture(tmp_path):
    with pytest.raises(UserError, match="is a folder"):
        load_portrait(tmp_path)


def test_whole_writes_all_or_nothing(tmp_path):
    final = tmp_path / "new" / "a.txt"
    with pytest.raises(KeyboardInterrupt), whole(final) as part:
        part.write_text("half")
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []
    with whole(final) as part:
        part.write_text("all")
        assert not final.exists()
    assert final.read_text() == "all" and os.listdir(final.parent) == ["a.txt"]


def test_whole_keeps_the_old_file_when_the_new_one_fails(tmp_path):
    (tmp_path / "a.txt").write_text("old")
    with pytest.raises(ValueError), whole(tmp_path / "a.txt") as part:
        part.write_text("new")
        raise ValueError
    assert (tmp_path / "a.txt").read_text() == "old" and os.listdir(tmp_path) == ["a.txt"]


def test_a_file_that_nobody_filled_is_not_made(tmp_path, caplog):
    with whole(tmp_path / "a.txt"):
        pass
    assert os.listdir(tmp_path) == [] and "not needed" in caplog.text


def test_a_place_that_cannot_be_written_is_a_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write"), whole(tmp_path / "file" / "a.txt"):
        pass
    with pytest.raises(UserError, match="is a folder"), whole(tmp_path):
        pass


def test_sha256_of_nothing(tmp_path):
    (tmp_path / "a").write_bytes(b"")
    assert sha256(tmp_path / "a").startswith("e3b0c44298fc1c14")


def test_portraits_are_contiguous_uint8(tmp_path):
    Image.fromarray(gradient()).save(tmp_path / "a.png")
    image = load_portrait(tmp_path / "a.png").image
    assert image.dtype == torch.uint8 and image.is_contiguous() and image.shape == (3, 6, 9)
