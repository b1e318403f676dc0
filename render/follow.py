"""Follow one face from frame to frame: MediaPipe's mesh on a crop that rests while the face does.

A crop that jitters makes landmarks jitter, and so does a detection in every frame. So the crop stays until the face has
moved a tenth of it, and the mesh starts from its own last result: half the noise of single pictures at a third of the
cost.
"""

import numpy as np
from numpy.typing import NDArray

from render.landmarks import Box, FaceChoice, bounds, choose, cut, detect, detect_near, opened_models, pixels_of, square

MARGIN = 1.8  # side of the crop over that of the face's box
SIDE = 256  # pixels of the crop as the mesh sees it (its network looks at 192 of the face)
MOVED, GROWN = 0.1, 1.15  # of the crop: when it is taken anew
PATIENCE = 25  # frames without a face after which all of the picture is searched with care

NOBODY = np.full((478, 3), np.nan, np.float32)


class FaceFollower:
    """Called with the frames of a clip in order; gives the landmarks (478, 3) of one face, or nan.

    `face`: which one, in the first frame that shows any. `name`: what error messages call the clip. Use it as a context
    manager: it holds MediaPipe's graph.
    """

    def __init__(self, face: FaceChoice = "largest", name: str = "clip") -> None:
        self.face, self.name = face, name
        self.place: Box | None = None  # of the face when it was last seen
        self.crop: Box | None = None
        self.absent = 0
        with opened_models() as models:  # while MediaPipe says what it says when it starts
            self.mesh = models.following()
            self.mesh.process(np.zeros((SIDE, SIDE, 3), np.uint8))

    def __enter__(self) -> "FaceFollower":
        return self

    def __exit__(self, *error: object) -> None:
        self.mesh.close()

    def __call__(self, image: NDArray) -> NDArray:
        """Landmarks in pixels of the frame (h, w, 3) uint8."""
        points = self._seen(image)
        if points is None:
            self.crop = self._searched(image)
            points = None if self.crop is None else self._settled(image)
        if points is None:
            self.absent += 1
            return NOBODY
        self.absent, self.place = 0, bounds(points)
        if _strays(self.place, self.crop):
            self.crop = square(self.place, MARGIN)
            points = self._settled(image)
        return NOBODY if points is None else points

    def _settled(self, image: NDArray) -> NDArray | None:
        """The mesh on a new crop: twice, since it starts from where the face lay in the old one."""
        self._seen(image)
        return self._seen(image)

    def _seen(self, image: NDArray) -> NDArray | None:
        """The mesh on the crop, or None when the face is not there."""
        if self.crop is None:
            return None
        patch, origin, scale = cut(image, self.crop, SIDE)
        meshes = self.mesh.process(patch).multi_face_landmarks
        return pixels_of(meshes[0], origin, scale, SIDE) if meshes else None

    def _searched(self, image: NDArray) -> Box | None:
        """A crop around the face, found anew."""
        if self.place is not None and self.absent % PATIENCE:
            found = detect_near(image, self.place)
        else:
            faces = detect(image)
            if not faces:
                return None
            found = choose(faces, self.face, self.name) if self.place is None else nearest(faces, self.place)
        return None if found is None else square(found.box, MARGIN)


def nearest(faces, place: Box):
    """The face whose middle is nearest to that of a box."""
    middle = (place[:2] + place[2:]) / 2
    return min(faces, key=lambda face: np.abs((face.box[:2] + face.box[2:]) / 2 - middle).sum())


def _strays(place: Box, crop: Box | None) -> bool:
    """Whether a face no longer fills its crop as it did."""
    if crop is None:
        return False
    now, side = square(place, MARGIN), crop[2] - crop[0]
    shift = np.abs((now[:2] + now[2:]) / 2 - (crop[:2] + crop[2:]) / 2).max()
    ratio = (now[2] - now[0]) / side
    return bool(shift > MOVED * side or not 1 / GROWN < ratio < GROWN)
