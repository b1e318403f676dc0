"""Normals of vertices: outwards, of unit length, twice: against the definition and on a ball."""

import numpy as np
import trimesh

from vlogger.body.normals import vertex_normals


def test_on_a_ball_they_are_the_radii():
    ball = trimesh.creation.icosphere(subdivisions=3)
    normals = vertex_normals(np.asarray(ball.vertices), np.asarray(ball.faces))
    assert (normals * ball.vertices).sum(1).min() > 0.999
    assert normals.dtype == np.float32


def test_each_is_the_mean_of_its_triangles_by_area():
    chance = np.random.default_rng(0)
    vertices, faces = chance.normal(size=(7, 3)), chance.permuted(np.tile(np.arange(7), (9, 1)), axis=1)[:, :3]
    for number, normal in enumerate(vertex_normals(vertices, faces)):
        total = np.zeros(3)
        for a, b, c in vertices[faces[(faces == number).any(1)]]:
            total += np.cross(b - a, c - a)
        assert np.allclose(normal, total / max(np.linalg.norm(total), 1e-12), atol=1e-6)
