"""Rigid transforms as arrays: positions [m], wxyz unit quaternions, 3x3 rotations, 4x4 poses, axis-angles [rad]."""

from math import sqrt

import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray

type Pose = Float64[NDArray[np.float64], "4 4"]
type Poses = Float64[NDArray[np.float64], "T 4 4"]
"""A homogeneous transform, and one at each of T steps; positions in m."""

_EPS = 1e-12
_I3, _I4 = np.eye(3), np.eye(4)  # np.eye takes longer than all that follows it


def quat_to_matrix(quat: Float64[NDArray[np.float64], "4"]) -> Float64[NDArray[np.float64], "3 3"]:
    """Rotation matrix of a wxyz unit quaternion."""
    w, x, y, z = quat
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


def matrix_to_quat(rotation: Float64[NDArray[np.float64], "3 3"]) -> Float64[NDArray[np.float64], "4"]:
    """The wxyz unit quaternion of a rotation, with w >= 0 (Shepperd's method: divide by the largest component)."""
    m = rotation
    trace = m[0, 0] + m[1, 1] + m[2, 2]
    squares = np.array([trace, m[0, 0], m[1, 1], m[2, 2]])
    match int(np.argmax(squares)):
        case 0:
            quat = np.array([1 + trace, m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1]])
        case 1:
            quat = np.array([m[2, 1] - m[1, 2], 1 + m[0, 0] - m[1, 1] - m[2, 2], m[0, 1] + m[1, 0], m[0, 2] + m[2, 0]])
        case 2:
            quat = np.array([m[0, 2] - m[2, 0], m[0, 1] + m[1, 0], 1 - m[0, 0] + m[1, 1] - m[2, 2], m[1, 2] + m[2, 1]])
        case _:
            quat = np.array([m[1, 0] - m[0, 1], m[0, 2] + m[2, 0], m[1, 2] + m[2, 1], 1 - m[0, 0] - m[1, 1] + m[2, 2]])
    quat = quat / np.linalg.norm(quat)
    return -quat if quat[0] < 0 else quat


def exp_rotation(rotvec: Float64[NDArray[np.float64], "3"]) -> Float64[NDArray[np.float64], "3 3"]:
    """Rotation by the angle |rotvec| about its direction (Rodrigues)."""
    x, y, z = rotvec.tolist()
    angle = sqrt(float(rotvec.dot(rotvec)))
    K = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    if angle < 1e-8:
        return _I3 + K + 0.5 * K @ K
    return _I3 + np.sin(angle) / angle * K + (1 - np.cos(angle)) / angle**2 * K @ K


def log_rotation(rotation: Float64[NDArray[np.float64], "3 3"]) -> Float64[NDArray[np.float64], "3"]:
    """The axis-angle vector of a rotation, of length in [0, pi]."""
    quat = matrix_to_quat(rotation)
    sine = float(np.linalg.norm(quat[1:]))
    if sine < _EPS:
        return 2.0 * quat[1:]
    return 2.0 * np.arctan2(sine, quat[0]) / sine * quat[1:]


def pose(position: Float64[NDArray[np.float64], "3"], rotation: Float64[NDArray[np.float64], "3 3"]) -> Pose:
    """Put a position [m] and a rotation into one 4x4 pose."""
    T = _I4.copy()
    T[:3, :3], T[:3, 3] = rotation, position
    return T


def inverse(T: Pose) -> Pose:
    """Inverse of a pose."""
    R = T[:3, :3].T
    return pose(-R @ T[:3, 3], R)


def interpolate(T_start: Pose, T_end: Pose, fraction: float) -> Pose:
    """Pose at `fraction` in [0, 1] between two: straight in position, along one axis in rotation."""
    position = (1 - fraction) * T_start[:3, 3] + fraction * T_end[:3, 3]
    turn = log_rotation(T_start[:3, :3].T @ T_end[:3, :3])
    return pose(position, T_start[:3, :3] @ exp_rotation(fraction * turn))


def wrap_angle(angle_rad: float) -> float:
    """The same angle in [-pi, pi)."""
    return float((angle_rad + np.pi) % (2 * np.pi) - np.pi)
