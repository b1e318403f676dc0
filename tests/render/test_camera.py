"""The pinhole camera: documented axes, exact inverse, resizing, sides of faces."""

import torch

from render.camera import project, scale_intrinsics, signed_area, unproject

CAMERA = torch.tensor([[100.0, 0, 32], [0, 90, 24], [0, 0, 1]])


def test_axes():
    """x to the right, y up, the camera looks along -z; pixels run right and down."""
    seen = project(torch.tensor([[0.0, 0, -2], [0.2, 0, -2], [0, 0.2, -2]]), CAMERA)
    assert torch.allclose(seen, torch.tensor([[32.0, 24, 2], [42, 24, 2], [32, 15, 2]]))


def test_unproject_inverts_project():
    skewed = CAMERA.clone()
    skewed[0, 1] = 3.0
    points = torch.randn(50, 3, generator=torch.Generator().manual_seed(0)) - torch.tensor([0, 0, 5.0])
    assert torch.allclose(unproject(project(points, skewed), skewed), points, atol=1e-5)


def test_scaled_camera_sees_scaled_pixels():
    points = torch.tensor([[0.3, -0.1, -1.7]])
    seen, scaled = project(points, CAMERA), project(points, scale_intrinsics(CAMERA, 2.0, 0.5))
    assert torch.allclose(scaled, seen * torch.tensor([2.0, 0.5, 1.0]))


def test_behind_the_camera_has_no_positive_depth_and_stays_finite():
    seen = project(torch.tensor([[0.1, 0.1, 0.0], [0.1, 0.1, 3.0]]), CAMERA)
    assert (seen[:, 2] <= 0).all() and seen.isfinite().all()


def test_a_face_seen_from_its_front_has_negative_area():
    front = torch.tensor([[0.0, 0, -1], [0.1, 0, -1], [0, 0.1, -1]])  # counter-clockwise for the viewer
    faces = torch.tensor([[0, 1, 2], [0, 2, 1]])
    area = signed_area(project(front, CAMERA), faces)
    assert area[0] < 0 < area[1]
