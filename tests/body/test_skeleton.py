import numpy as np
from smplx.joint_names import JOINT_NAMES

from vlogger.body.skeleton import JOINTS, PARENTS, joint_index
from vlogger.body.smplx import OPEN_BODY


def test_same_names_and_order_as_smplx():
    assert [name.removesuffix("_smplhf") for name in JOINT_NAMES[:55]] == list(JOINTS)


def test_same_tree_as_the_file():
    assert PARENTS[1:] == tuple(np.load(OPEN_BODY)["kintree_table"][0, 1:])


def test_parents_come_first_and_sides_stay_apart():
    for joint, parent in enumerate(PARENTS[1:], start=1):
        assert parent < joint
        assert {JOINTS[joint].split("_")[0], JOINTS[parent].split("_")[0]} != {"left", "right"}
    assert JOINTS[PARENTS[joint_index("right_thumb1")]] == "right_wrist"
