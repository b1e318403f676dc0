"""Rendered bodies: light that adds up, shadows where something is in between, exact truth of who is where."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from render.anatomy import LIPS, SKIN
from render.camera import project, unproject
from render.controls import MeshControls
from vlogger import curate
from vlogger.body.normals import vertex_normals
from vlogger.body.smplx import load_body
from vlogger.curation.bodies import Misfit, RenderedBodies, filmed, standing
from vlogger.curation.cycle import Framing, square_of
from vlogger.curation.hair import random_hair, shell, strands
from vlogger.curation.light import EXPOSURE, WRAP, random_environment, shaded, shadows_of, sphere
from vlogger.curation.person import Spots, albedo_of, random_person
from vlogger.curation.scene import picture, random_scene
from vlogger.curation.wander import Wander
from vlogger.framing import crop
from vlogger.pools import NO_BODY, Pool

SIDE = 96
NOWHERE = np.array([[[9.0, 9.0, 9.0], [9.1, 9.0, 9.0], [9.0, 9.1, 9.0]]], np.float32)[0]  # beyond every shadow map
TRIANGLE = np.array([[0, 1, 2]])


def chance(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def body():
    return load_body()


@pytest.fixture(scope="module")
def shot(body):
    """A scene, and the place of somebody in it whose head fills most of the square."""
    scene = random_scene(body, SIDE, chance(4))
    start = standing(scene.person, SIDE, 0.0, chance(5))
    return scene, crop(start, square_of(start, scene.person.body, Framing((1.4, 1.4), 0.0), chance(6)), SIDE)


def own_motion(start, frames: int = 1):
    return filmed(start, load_body().expression_names, Wander(keep_expression=0.0), frames, chance(7))


# --------------------------------------------------------------------------------------------------------- light


def test_lights_lie_all_around():
    directions = sphere(200, 0.3)
    assert np.allclose(np.linalg.norm(directions, axis=1), 1, atol=1e-5)
    assert np.abs(directions.mean(0)).max() < 0.02


@pytest.mark.parametrize("seed", range(4))
def test_a_white_wall_that_looks_at_the_camera_is_as_bright_as_the_exposure_says(seed):
    light = random_environment(chance(seed))
    wall = (light.radiance * np.maximum(light.directions[:, 2:], 0)).sum(0).mean()
    assert 0.69 * EXPOSURE < wall < 1.21 * EXPOSURE
    assert (light.radiance >= 0).all()


def test_shading_is_the_sum_over_the_lights():
    light, rng = random_environment(chance(1)), np.random.default_rng(0)
    normals = rng.normal(size=(20, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    albedo, places = rng.uniform(size=(20, 3)), np.array([0.0, 0.0, -1.0]) + 0.1 * rng.normal(size=(20, 3))
    open_sky = shadows_of(NOWHERE, TRIANGLE, np.array([0.0, 0.0, -1.0]), light)
    made = shaded(albedo, np.zeros(20), places, normals, light, open_sky)
    cosine = normals @ light.directions.T
    share = np.maximum(cosine[..., None] + WRAP, 0) / (1 + WRAP)
    assert np.allclose(made, albedo * (share * light.radiance).sum(1), atol=1e-5)


def test_what_lies_behind_something_gets_less_light_and_gloss_adds_some():
    light = random_environment(chance(2))
    middle = np.array([0.0, 0.0, -1.0])
    screen = middle + np.array([[-1.0, -1.0, 0.05], [1.0, -1.0, 0.05], [0.0, 1.5, 0.05]])
    told = (np.full((1, 3), 0.5), np.zeros(1), middle[None], np.array([[0.0, 0.0, 1.0]]), light)
    hidden = shaded(*told, shadows_of(screen, TRIANGLE, middle, light))
    bare = shaded(*told, shadows_of(NOWHERE, TRIANGLE, middle, light))
    assert (hidden < 0.3 * bare).all()
    glossy = shaded(told[0], np.ones(1), *told[2:], shadows_of(NOWHERE, TRIANGLE, middle, light))
    assert (glossy > bare).all()


# -------------------------------------------------------------------------------------------------------- person


def everywhere(person) -> Spots:
    """The middle of every face of the body."""
    faces = person.body.faces.numpy()
    bary = np.full((len(faces), 3), 1 / 3)
    return Spots(np.arange(len(faces)), bary, person.body.v_template.numpy()[faces].mean(1))


@pytest.mark.parametrize("seed", range(3))
def test_colours_are_colours_and_lips_are_redder_than_skin(body, seed):
    person = random_person(body, chance(seed))
    colours, gloss = albedo_of(person, everywhere(person))
    assert colours.min() >= 0 and colours.max() <= 1 and (gloss >= 0).all()
    redness = colours[:, 0] / colours[:, 1]
    assert np.median(redness[person.kind == LIPS]) > np.median(redness[person.kind == SKIN])


def test_people_differ_and_the_same_chance_makes_the_same_one(body):
    first, again, other = (random_person(body, chance(seed)) for seed in (1, 1, 2))
    assert np.array_equal(first.skin, again.skin) and torch.equal(first.betas, again.betas)
    assert not np.array_equal(first.skin, other.skin) and not torch.equal(first.betas, other.betas)


def test_hair_grows_outwards_thins_out_and_leaves_the_face_free(body):
    made = (random_hair(body, chance(seed)) for seed in range(20))
    hair = next(one for one in made if one is not None)
    template = body.v_template.numpy()
    normals = vertex_normals(template, body.faces.numpy())
    grown = ((shell(hair, 1.0, template, normals) - template) * normals).sum(1)
    covered = hair.cover > 0.02
    assert (grown[covered] > 0.9 * hair.length).all()
    roots, ends = (strands(hair, share, template[covered], hair.cover[covered]).mean() for share in (0.1, 1.0))
    assert roots > ends
    face = body.faces.numpy()[body.mp_faces[[1, 4, 33, 263, 13, 152]].numpy()]
    assert not np.isin(face, hair.faces).any()


# ------------------------------------------------------------------------------------------------------ pictures


def test_projecting_undoes_unprojecting():
    camera = torch.tensor([[300.0, 0, 48], [0, 280.0, 50], [0, 0, 1]])
    places = torch.tensor([[0.1, -0.2, -1.0], [-0.05, 0.3, -2.0]])
    assert np.allclose(unproject(project(places, camera), camera), places, atol=1e-5)


def test_the_matte_is_where_the_picture_is_not_the_wall(shot):
    scene, start = shot
    made = picture(scene, own_motion(start)[:1], start.intrinsics)
    bare = picture(scene, moved(own_motion(start)[:1], 50.0), start.intrinsics)
    assert bare.matte.max() == 0
    changed = (made.image.int() - bare.image.int()).abs().amax(0) > 0
    assert not (changed & (made.matte[0] == 0)).any()
    assert (changed & (made.matte[0] == 255)).sum() > 0.95 * (made.matte == 255).sum()
    assert 0.2 < (made.matte > 127).float().mean() < 0.9


def moved(motion, metres: float):
    return replace(motion, translation=motion.translation + torch.tensor([metres, 0.0, 0.0]))


def test_an_opened_mouth_is_darker_inside_than_the_lips(shot, body):
    scene, start = shot
    motion = own_motion(start)[:1]
    expression = torch.zeros_like(motion.expression)
    shut = picture(scene, replace(motion, expression=expression), start.intrinsics)
    expression[:, body.expression_names.index("jawOpen")] = 0.6
    opened = picture(scene, replace(motion, expression=expression), start.intrinsics)
    darker = (shut.image.float().mean(0) - opened.image.float().mean(0)) > 40
    assert darker.sum() > 20


def test_the_film_starts_with_the_photo_and_moves_smoothly(shot):
    _, start = shot
    motion = own_motion(start, frames=12)
    assert len(motion) == 13
    jumps = (motion.translation[2:] - motion.translation[1:-1]).norm(dim=1)
    assert jumps.max() < 0.02
    assert torch.allclose(motion.rotations @ motion.rotations.mT, torch.eye(3).expand_as(motion.rotations), atol=1e-4)


# ---------------------------------------------------------------------------------------------------------- pool


def maker(body, out="unused", **told) -> RenderedBodies:
    size = {"count": 2, "frames": 2, "size": 64}
    return RenderedBodies(str(out), MeshControls(body), body, **size, seed=3, **told)


def test_known_pixels_come_close_to_the_truth(body):
    made = maker(body, misfit=Misfit(0.0, 0.0, 0.0)).sample(chance(1))
    known = np.repeat(made["visible"] == 255, 3, axis=1) & (made["parts"] != NO_BODY)[:, None]
    error = np.abs(made["warped"].astype(int) - made["target"])[known]
    moved = np.abs(made["photo"][None].astype(int) - made["target"])[known]
    assert known.mean() > 0.1 and error.mean() < 0.5 * moved.mean()


def test_a_misfit_changes_what_is_told_and_not_the_truth(body):
    exact, wrong = (maker(body, misfit=misfit).sample(chance(1)) for misfit in (Misfit(0, 0, 0), Misfit()))
    assert np.array_equal(exact["target"], wrong["target"]) and np.array_equal(exact["photo"], wrong["photo"])
    assert not np.array_equal(exact["surface"], wrong["surface"])


def test_a_pool_of_different_people_that_the_same_seed_makes_again(body, tmp_path):
    for folder in ("first", "again"):
        maker(body, tmp_path / folder)()
    first, again = (Pool(tmp_path / folder) for folder in ("first", "again"))
    assert len(first) == 2 and first.frames == 2 and len(set(first.meta["person"])) == 2
    assert np.array_equal(first.target, again.target) and np.array_equal(first.warped, again.warped)
    assert not np.array_equal(first.photo[0], first.photo[1])


def test_the_command_writes_a_pool(tmp_path, monkeypatch):
    told = ["dataset=bodies", f"out={tmp_path / 'pool'}", "dataset.count=1", "dataset.frames=1", "size=32"]
    monkeypatch.setattr("sys.argv", ["vlogger.curate", *told])
    curate.main()
    assert len(Pool(tmp_path / "pool")) == 1
