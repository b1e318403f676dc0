import numpy as np
import torch

from render.calibrate_landmarks import KEPT, Misfit, landmark_places, mirrored, moved, shifts


def test_the_shift_is_found_in_spite_of_strangers():
    """Twenty heads of many poses, four of them with nonsense for landmarks."""
    dice = np.random.default_rng(0)
    truth = 1e-3 * dice.normal(size=(5, 3))
    people = []
    for person in range(20):
        slope = dice.normal(size=(5, 2, 3)) * 16
        noise = 0.001 if person % 5 else 0.3
        people.append(Misfit(noise * dice.normal(size=(5, 2)) - np.einsum("lij,lj->li", slope, truth), slope))
    assert np.abs(shifts(people) - truth).max() < 1e-4


def test_both_sides_move_alike_and_rims_stay(body):
    shift = 2e-3 * np.random.default_rng(1).normal(size=(478, 3))
    places = landmark_places(body)
    new = moved(body, mirrored(shift, places))
    after = landmark_places(new)
    right, left = [105, 50, 61, 98, 127], [334, 280, 291, 327, 356]
    np.testing.assert_allclose(after[right], after[left] * (-1, 1, 1), atol=5e-4)
    assert torch.equal(new.mp_faces[KEPT], body.mp_faces[KEPT]) and torch.equal(new.mp_bary[KEPT], body.mp_bary[KEPT])
    assert np.linalg.norm(after - places, axis=1).max() < 0.01
    others = np.setdiff1d(np.arange(478), KEPT)
    assert np.linalg.norm(after - places, axis=1)[others].mean() > 5e-4
