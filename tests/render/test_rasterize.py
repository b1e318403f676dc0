"""All rasterizers agree with the slow twin, drop what lies behind the camera, and the torch one has true gradients."""

import importlib.util

import pytest
import torch

from render.rasterize import interpolate, rasterize
from vlogger.body.skeleton import joint_index
from vlogger.body.smplx import load_body
from vlogger.errors import UserError
from vlogger.framing import project

FAST = ["numba", "torch"]


def soup(seed: int, batch: int = 2, triangles: int = 60, size: float = 24.0, reach: float = 8.0):
    """Random triangles around a picture of `size` pixels: projected (B,V,3), faces (F,3)."""
    generator = torch.Generator().manual_seed(seed)
    centre = torch.rand(batch, triangles, 1, 2, generator=generator) * size
    xy = centre + torch.randn(batch, triangles, 3, 2, generator=generator) * reach
    depth = 0.5 + 3 * torch.rand(batch, triangles, 3, 1, generator=generator)
    return torch.cat([xy, depth], -1).flatten(1, 2), torch.arange(3 * triangles).view(-1, 3)


@pytest.mark.parametrize("backend", FAST)
@pytest.mark.parametrize("seed", [0, 1])
def test_agrees_with_the_reference(backend, seed):
    projected, faces = soup(seed)
    slow, fast = (rasterize(projected, faces, 20, 24, name) for name in ("reference", backend))
    same = slow.face_id == fast.face_id
    assert slow.mask.float().mean() > 0.5
    assert same.float().mean() >= 0.999
    assert (slow.bary - fast.bary)[same].abs().max() < 1e-4
    assert (slow.depth - fast.depth)[same].abs().max() < 1e-4


@pytest.mark.parametrize("backend", FAST)
def test_perspective_correct_weights_reproduce_the_pixel(backend):
    projected, faces = soup(3, batch=1)
    seen = rasterize(projected, faces, 20, 24, backend)
    homogeneous = torch.cat([projected[..., :2] * projected[..., 2:], projected[..., 2:]], -1)
    point = interpolate(homogeneous, faces, seen)[0][seen.mask[0]]
    row, column = seen.mask[0].nonzero().unbind(1)
    assert torch.allclose(point[:, 0] / point[:, 2], column + 0.5, atol=1e-3)
    assert torch.allclose(point[:, 1] / point[:, 2], row + 0.5, atol=1e-3)
    assert torch.allclose(point[:, 2], seen.depth[0][seen.mask[0]], atol=1e-4)


@pytest.mark.parametrize("backend", [*FAST, "reference"])
def test_behind_the_camera_and_degenerate_triangles_are_dropped(backend):
    inf = float("inf")
    points = torch.tensor([[[0, 0, 1], [16, 0, 1], [0, 16, -0.1], [0, 16, 1], [8, 8, 1], [0, 16, 0], [inf, 3, 1]]])
    faces = torch.tensor([[0, 1, 2], [0, 0, 1], [1, 4, 3], [0, 1, 5], [4, 4, 4]])
    assert not rasterize(points, faces, 16, 16, backend).mask.any()


@pytest.mark.parametrize("backend", [*FAST, "reference"])
def test_nearest_wins_then_the_first(backend):
    near, far = [[0.0, 0, 1], [16, 0, 1], [0, 16, 1]], [[0.0, 0, 2], [16, 0, 2], [0, 16, 2]]
    seen = rasterize(torch.tensor([far + near + near]), torch.arange(9).view(3, 3), 8, 8, backend)
    assert (seen.face_id == 1).all()


def test_neighbouring_triangles_leave_no_gap_and_overlap_nowhere():
    points = torch.tensor([[[0.0, 0, 1], [8, 0, 1], [8, 8, 1], [0, 8, 1], [3.3, 4.1, 1]]])
    faces = torch.tensor([[0, 1, 4], [1, 2, 4], [2, 3, 4], [3, 0, 4]])
    assert rasterize(points, faces, 8, 8, "numba").mask.all()
    assert rasterize(points, faces, 8, 8, "torch").mask.all()


def test_gradients_equal_finite_differences():
    projected, faces = soup(5, batch=2, triangles=6, size=12.0)
    projected = projected.double()
    colours = torch.rand(projected.shape[1], 2, generator=torch.Generator().manual_seed(0)).double()
    fixed = rasterize(projected, faces, 10, 12, "torch").face_id

    def picture(points):
        seen = rasterize(points, faces, 10, 12, "torch")
        steady = (seen.face_id == fixed)[..., None]
        return torch.where(steady, torch.cat([interpolate(colours, faces, seen), seen.depth[..., None]], -1), 0.0)

    assert torch.autograd.gradcheck(picture, projected.clone().requires_grad_(), eps=1e-7, atol=1e-4)


def test_auto_takes_the_differentiable_backend_when_gradients_are_needed():
    projected, faces = soup(0, batch=1, triangles=4)
    seen = rasterize(projected.requires_grad_(), faces, 16, 16)
    assert seen.depth.requires_grad
    assert not rasterize(projected.detach(), faces, 16, 16).depth.requires_grad


def test_unknown_backend_is_a_user_error():
    with pytest.raises(UserError, match="auto, numba"):
        rasterize(*soup(0), 8, 8, "opengl")


def test_pytorch3d_agrees_or_says_how_to_get_it():
    projected, faces = soup(0)
    if importlib.util.find_spec("pytorch3d") is None:
        with pytest.raises(UserError, match="build it from source"):
            rasterize(projected, faces, 20, 24, "pytorch3d")
    else:
        slow, fast = (rasterize(projected, faces, 20, 24, name) for name in ("reference", "pytorch3d"))
        assert (slow.face_id == fast.face_id).float().mean() >= 0.999


@pytest.mark.parametrize(("joint", "extent"), [("head", 0.42), ("spine3", 1.1), ("pelvis", 2.2)])
def test_backends_agree_on_the_body(joint, extent):
    """Head, half body and body: the same faces on 99.9 % of the pixels, barycentrics to 1e-4."""
    body, size = load_body(), 64
    vertices = body.v_template - body.J_template[joint_index(joint)] - torch.tensor([0.0, 0.0, 3.0])
    focal = 3.0 * size / extent
    projected = project(vertices, torch.tensor([[focal, 0, size / 2], [0, focal, size / 2], [0, 0, 1]]))[None]
    one, two = (rasterize(projected, body.faces, size, size, name) for name in FAST)
    same = one.face_id == two.face_id
    assert one.mask.float().mean() > 0.05 and same.float().mean() >= 0.999
    assert (one.bary - two.bary)[same].abs().max() < 1e-4


def test_a_mesh_that_is_cut_by_the_frame_is_drawn_as_in_a_larger_one():
    projected, faces = soup(7, batch=1, size=40.0)
    large = rasterize(projected, faces, 40, 40, "numba")
    shifted = projected - torch.tensor([10.0, 8.0, 0.0])
    for name in FAST:
        small = rasterize(shifted, faces, 20, 24, name)
        assert (small.face_id == large.face_id[:, 8:28, 10:34]).float().mean() >= 0.999
