"""Arrays in messages: openpi's msgpack and GR00T's, which differ in how an array is written."""

from io import BytesIO
from typing import Any

import numpy as np

from etude.core import EtudeError, MissingDependencyError

_REFUSED = "VOc"  # kinds of dtypes: records, objects, complex numbers


class BadMessageError(EtudeError):
    """Bytes that are no message of the protocol."""


def pack_openpi(value: Any) -> bytes:
    """Write plain values, and arrays as openpi does."""
    return bytes(_msgpack().packb(value, default=_openpi))


def unpack_openpi(content: bytes) -> Any:
    """Read what openpi writes.

    Raises:
        BadMessageError: It is something else.
    """
    return _unpacked(content, _from_openpi)


def pack_groot(value: Any) -> bytes:
    """Write plain values, and arrays as GR00T's server does."""
    return bytes(_msgpack().packb(value, default=_groot))


def unpack_groot(content: bytes) -> Any:
    """Read what GR00T's server writes; descriptions of modalities become their JSON.

    Raises:
        BadMessageError: It is something else.
    """
    return _unpacked(content, _from_groot)


def _unpacked(content: bytes, hook: Any) -> Any:
    msgpack = _msgpack()
    try:
        return msgpack.unpackb(content, object_hook=hook, strict_map_key=False)
    except (ValueError, TypeError, KeyError, msgpack.UnpackException) as error:
        raise BadMessageError(f"a message that is not of the protocol: {str(error) or type(error).__name__}.") from None


def _openpi(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic) and value.dtype.kind in _REFUSED:
        raise BadMessageError(f"an array of type {value.dtype} cannot be sent.")
    if isinstance(value, np.ndarray):
        array = np.ascontiguousarray(value)
        return {b"__ndarray__": True, b"data": array.tobytes(), b"dtype": array.dtype.str, b"shape": array.shape}
    if isinstance(value, np.generic):
        return {b"__npgeneric__": True, b"data": value.item(), b"dtype": value.dtype.str}
    raise TypeError(f"cannot send a {type(value).__name__}")


def _from_openpi(record: dict[Any, Any]) -> Any:
    if b"__ndarray__" in record:
        dtype = _checked(record[b"dtype"])
        return np.frombuffer(record[b"data"], dtype).reshape(record[b"shape"])
    if b"__npgeneric__" in record:
        return _checked(record[b"dtype"]).type(record[b"data"])
    return record


def _groot(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        buffer = BytesIO()
        np.save(buffer, value, allow_pickle=False)
        return {"__ndarray_class__": True, "as_npy": buffer.getvalue()}
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"cannot send a {type(value).__name__}")


def _from_groot(record: dict[Any, Any]) -> Any:
    if "__ndarray_class__" in record:
        return np.load(BytesIO(record["as_npy"]), allow_pickle=False)
    if "__ModalityConfig_class__" in record:
        return record["as_json"]
    return record


def _checked(text: Any) -> np.dtype[Any]:
    dtype = np.dtype(text.decode() if isinstance(text, bytes) else text)
    if dtype.kind in _REFUSED:
        raise BadMessageError(f"an array of type {dtype} is not read.")
    return dtype


def _msgpack() -> Any:
    try:
        import msgpack
    except ImportError:
        raise MissingDependencyError("policies on servers need more libraries: pip install 'etude[remote]'.") from None
    return msgpack
