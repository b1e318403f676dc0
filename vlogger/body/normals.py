"""Where the skin looks: unit normals of a mesh's vertices."""

import numpy as np
from numpy.typing import NDArray


def vertex_normals(vertices: NDArray, faces: NDArray) -> NDArray[np.float32]:
    """(V, 3) unit normals, outwards: the mean over the triangles (F, 3) of each vertex, by their areas."""
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    across = np.cross(b - a, c - a)
    normals = np.stack([np.bincount(faces.ravel(), np.repeat(axis, 3), len(vertices)) for axis in across.T], 1)
    return (normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)).astype(np.float32)
