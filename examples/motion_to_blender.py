"""A motion in Blender: the body as a mesh with an armature and 52 shape keys, animated.

    blender --python examples/motion_to_blender.py -- motion.npz vlogger/body/open_body.npz

motion.npz comes from `python -m vlogger.hear audio=SPEECH out=motion.npz` (or vlogger.generate motion_out=); the second
file is the body, in SMPL-X's format. Runs inside Blender (2.93 or later; tried in 4.5 and 5.0), needs nothing but its
own numpy. Key frames are at the motion's own rate; add the recording in the video sequencer.
"""

import sys

import bpy  # pyright: ignore[reportMissingImports]
import numpy as np
from mathutils import Matrix, Vector  # pyright: ignore[reportMissingImports]

FIRST_EXPRESSION = 300  # column of shapedirs
BONE = 0.04  # metres: every bone points along +y, so that its rest orientation is the body's own axes

motion_path, body_path = sys.argv[sys.argv.index("--") + 1 :]
motion, body = (dict(np.load(path)) for path in (motion_path, body_path))
names = [str(name) for name in motion["joint_names"]]
units = [str(name) for name in motion["expression_names"]]
parents = [-1] + [int(parent) for parent in body["kintree_table"][0][1:]]
joints = body["J_regressor"] @ body["v_template"]

mesh = bpy.data.meshes.new("body")
mesh.from_pydata(body["v_template"].tolist(), [], body["f"].tolist())
person = bpy.data.objects.new("body", mesh)
bpy.context.collection.objects.link(person)

bones = bpy.data.armatures.new("bones")
rig = bpy.data.objects.new("bones", bones)
bpy.context.collection.objects.link(rig)
bpy.context.view_layer.objects.active = rig
bpy.ops.object.mode_set(mode="EDIT")
for name, parent, place in zip(names, parents, joints):
    bone = bones.edit_bones.new(name)
    bone.head, bone.tail = Vector(place.tolist()), Vector((place + [0, BONE, 0]).tolist())
    if parent >= 0:
        bone.parent = bones.edit_bones[names[parent]]
bpy.ops.object.mode_set(mode="OBJECT")

for index, name in enumerate(names):
    group = person.vertex_groups.new(name=name)
    for vertex in np.flatnonzero(body["weights"][:, index] > 1e-3):
        group.add([int(vertex)], float(body["weights"][vertex, index]), "REPLACE")
modifier = person.modifiers.new("bones", "ARMATURE")
modifier.object = rig
person.parent = rig

person.shape_key_add(name="Basis")
for index, unit in enumerate(units):
    key = person.shape_key_add(name=unit)
    shaped = body["v_template"] + body["shapedirs"][:, :, FIRST_EXPRESSION + index]
    key.data.foreach_set("co", shaped.astype(np.float32).ravel())

bpy.context.scene.render.fps = round(float(motion["fps"]))
bpy.context.scene.frame_end = len(motion["rotations"])
turns = [[Matrix(turn.tolist()).to_quaternion() for turn in frame] for frame in motion["rotations"]]
turns = np.array([[tuple(turn) for turn in frame] for frame in turns])  # frames, joints, 4


def animate(owner, data_path, values):
    """Key frames of one property, values (frames, n), all at once: one call for each key takes minutes."""
    frames, numbers = values.shape
    first = values[0, 0] if numbers == 1 else values[0]
    setattr(owner, data_path, first)
    owner.keyframe_insert(data_path, frame=1)
    action = owner.id_data.animation_data.action
    curves = action.fcurves if hasattr(action, "fcurves") else action.layers[0].strips[0].channelbags[0].fcurves
    path = owner.path_from_id(data_path)
    for index in range(numbers):
        points = curves.find(path, index=index).keyframe_points
        points.add(frames - 1)
        points.foreach_set("co", np.stack([np.arange(1, frames + 1), values[:, index]], axis=1).ravel())
        points.foreach_set("interpolation", [1] * frames)  # linear


for index, name in enumerate(names):
    rig.pose.bones[name].rotation_mode = "QUATERNION"
    animate(rig.pose.bones[name], "rotation_quaternion", turns[:, index])
animate(rig.pose.bones[names[0]], "location", motion["translation"] - motion["translation"][0])
for index, unit in enumerate(units):
    animate(mesh.shape_keys.key_blocks[unit], "value", motion["expression"][:, index : index + 1].astype(float))
rig.rotation_euler = (np.pi / 2, 0.0, 0.0)  # the body's y is up, Blender's is z
