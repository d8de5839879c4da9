"""What went wrong, as the one line that a person reads."""

import errno

_FULL = (errno.ENOSPC, errno.EDQUOT)


def one_line(text: str) -> str:
    """The text with every run of white space as one space."""
    return " ".join(text.split())


def disk_trouble(error: BaseException) -> str | None:
    """Explain a full disk, or a file that the system refuses; None for anything else, which is a bug.

    Args:
        error: What was raised.
    """
    # Libraries that write in Rust or C++ (safetensors, pyarrow) tell of a full disk in words only.
    if getattr(error, "errno", None) in _FULL or "No space left on device" in str(error):
        where = f" for '{error.filename}'" if isinstance(error, OSError) and error.filename else ""
        return f"the disk is full{where}: what was finished is kept; free some space and go on with --resume."
    if getattr(error, "errno", None) == errno.EFBIG or "File too large" in str(error):
        where = f" for '{error.filename}'" if isinstance(error, OSError) and error.filename else ""
        return f"files may not grow that large here{where} (ulimit -f): what was finished is kept; go on with --resume."
    refused = (PermissionError, IsADirectoryError, NotADirectoryError, FileExistsError)
    if isinstance(error, refused) or (isinstance(error, OSError) and error.errno == errno.EROFS):
        return f"cannot use '{error.filename}': {(error.strerror or str(error)).lower()}."
    return None
