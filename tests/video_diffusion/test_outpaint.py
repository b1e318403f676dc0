"""Laws of temporal outpainting."""

import pytest
import torch

from video_diffusion.outpaint import frame_noise, outpaint, windows


@pytest.mark.parametrize("total", [1, 7, 8, 9, 16, 17, 41])
@pytest.mark.parametrize(("size", "overlap"), [(8, 0), (8, 3), (8, 4), (5, 4)])
def test_every_frame_is_new_exactly_once(total, size, overlap):
    plan = list(windows(total, size, overlap))
    assert [frame for window in plan for frame in range(window.new, window.last)] == list(range(total))
    assert all(window.last - window.first <= size for window in plan)
    assert all(window.new - window.first == min(overlap, window.new) for window in plan)


@pytest.mark.parametrize("reach", [0, 2, 9])
def test_known_frames_out_of_reach_are_left_out_and_nothing_else_changes(reach):
    for near, whole in zip(windows(41, 8, 4, reach), windows(41, 8, 4), strict=True):
        assert near[1:] == whole[1:] and near.first == max(whole.first, near.new - reach)


def test_each_window_is_given_the_end_of_the_one_before():
    def paint(window, known):
        assert torch.equal(known.flatten(), torch.arange(window.first, window.new, dtype=torch.float32))
        return torch.arange(window.new, window.last).float()[:, None]

    frames = torch.cat(list(outpaint(paint, windows(23, 6, 4), torch.empty(0))))
    assert torch.equal(frames.flatten(), torch.arange(23.0))


def test_the_noise_of_a_frame_depends_on_its_number_only():
    whole = frame_noise(3, 0, 10, (3, 4, 4), 0.5)
    assert torch.equal(torch.cat([frame_noise(3, 0, 3, (3, 4, 4), 0.5), frame_noise(3, 3, 10, (3, 4, 4), 0.5)]), whole)
    assert not torch.equal(frame_noise(4, 0, 10, (3, 4, 4), 0.5), whole)


@pytest.mark.parametrize("shared", [0.0, 0.3, 1.0])
def test_noise_has_variance_one_and_correlates_between_frames_as_told(shared):
    noise = frame_noise(0, 0, 4, (3, 64, 64), shared).flatten(1)
    correlation = noise @ noise.T / noise.shape[1]
    expected = torch.full((4, 4), shared) + (1 - shared) * torch.eye(4)
    assert torch.allclose(correlation, expected, atol=0.05)
