"""Group axioms and round trips."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from etude.core import se3

numbers = st.floats(-2.0, 2.0)
vectors = st.tuples(numbers, numbers, numbers).map(np.array)
rotation_vectors = st.tuples(vectors, st.floats(0.0, np.pi - 1e-4)).map(
    lambda pair: pair[0] / (np.linalg.norm(pair[0]) or 1.0) * pair[1]
)
poses = st.tuples(vectors, rotation_vectors).map(lambda pair: se3.pose(pair[0], se3.exp_rotation(pair[1])))


@given(poses, poses, poses)
def test_poses_form_a_group(A: np.ndarray, B: np.ndarray, C: np.ndarray) -> None:
    np.testing.assert_allclose((A @ B) @ C, A @ (B @ C), atol=1e-9)
    np.testing.assert_allclose(A @ se3.inverse(A), np.eye(4), atol=1e-9)
    np.testing.assert_allclose(se3.inverse(A @ B), se3.inverse(B) @ se3.inverse(A), atol=1e-9)


@given(rotation_vectors)
def test_exp_gives_rotations_as_scipys(rotvec: np.ndarray) -> None:
    R = se3.exp_rotation(rotvec)
    np.testing.assert_allclose(R @ R.T, np.eye(3), atol=1e-9)
    assert np.linalg.det(R) == pytest.approx(1.0)
    np.testing.assert_allclose(R, Rotation.from_rotvec(rotvec).as_matrix(), atol=1e-9)


@given(rotation_vectors)
def test_log_undoes_exp(rotvec: np.ndarray) -> None:
    np.testing.assert_allclose(se3.log_rotation(se3.exp_rotation(rotvec)), rotvec, atol=1e-6)


@pytest.mark.parametrize("axis", np.eye(3))
@pytest.mark.parametrize("angle", [0.0, 1e-12, 1e-9, 1e-7, 1e-4, np.pi - 1e-9, np.pi])
def test_exp_undoes_log_at_the_ends(axis: np.ndarray, angle: float) -> None:
    R = Rotation.from_rotvec(angle * axis).as_matrix()
    vector = se3.log_rotation(R)
    assert np.linalg.norm(vector) == pytest.approx(angle, abs=1e-7)
    np.testing.assert_allclose(se3.exp_rotation(vector), R, atol=1e-7)


@given(rotation_vectors)
def test_quaternions_are_unit_wxyz_and_survive_the_round_trip(rotvec: np.ndarray) -> None:
    R = se3.exp_rotation(rotvec)
    quat = se3.matrix_to_quat(R)
    assert np.linalg.norm(quat) == pytest.approx(1.0)
    assert quat[0] >= 0
    np.testing.assert_allclose(se3.quat_to_matrix(quat), R, atol=1e-9)
    np.testing.assert_allclose(np.abs(quat), np.abs(Rotation.from_matrix(R).as_quat(scalar_first=True)), atol=1e-7)


@given(poses, poses)
def test_interpolation_starts_ends_and_is_straight(A: np.ndarray, B: np.ndarray) -> None:
    np.testing.assert_allclose(se3.interpolate(A, B, 0.0), A, atol=1e-9)
    np.testing.assert_allclose(se3.interpolate(A, B, 1.0), B, atol=1e-6)
    middle = se3.interpolate(A, B, 0.5)
    np.testing.assert_allclose(middle[:3, 3], (A[:3, 3] + B[:3, 3]) / 2, atol=1e-9)
    half, rest = (se3.log_rotation(a[:3, :3].T @ b[:3, :3]) for a, b in ((A, middle), (middle, B)))
    np.testing.assert_allclose(np.linalg.norm(half), np.linalg.norm(rest), atol=1e-6)


@given(st.floats(-50, 50))
def test_wrapped_angles_point_the_same_way(angle: float) -> None:
    wrapped = se3.wrap_angle(angle)
    assert -np.pi <= wrapped < np.pi
    assert np.cos(wrapped) == pytest.approx(np.cos(angle), abs=1e-9)
    assert np.sin(wrapped) == pytest.approx(np.sin(angle), abs=1e-9)
