"""Where a dataset is that a person names: a folder, or a name on the Hugging Face Hub."""

import os
import re
from pathlib import Path

from etude.core import EtudeError
from etude.data.layout import INFO
from etude.data.metadata import read_info

_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_VERSIONS = ("v3.0", "v2.1", "main")  # LeRobot tags a dataset with each format that it was published in.
_TIMEOUT_S = 15.0


def find_dataset(name: str | Path) -> Path:
    """Find a dataset, downloading it if it is on the Hub and not yet on this machine.

    Args:
        name: A folder, or "owner/name" on the Hub; looked for in $HF_LEROBOT_HOME first, as LeRobot does.

    Returns:
        Its folder.

    Raises:
        EtudeError: There is none, or the Hub does not answer.
    """
    local = Path(name)
    if local.exists():
        if not (local / INFO).exists():
            read_info(local)  # says what is missing, and what may help
        return local
    # What stands in a folder that is there is misspelt, not on the Hub: nobody is asked.
    if not _HUB_NAME.fullmatch(str(name)) or local.parent.is_dir():
        raise EtudeError(f"there is no dataset '{name}': expected a folder, or a name on the Hub as OWNER/NAME.")
    kept = _lerobot_home() / str(name)
    return kept if (kept / INFO).exists() else _download(str(name))


def _lerobot_home() -> Path:
    from huggingface_hub import constants

    return Path(os.environ.get("HF_LEROBOT_HOME") or Path(constants.HF_HOME) / "lerobot").expanduser()


def _download(name: str) -> Path:
    """The newest version there is, into the cache that LeRobot downloads to."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError

    for revision in _VERSIONS:
        try:
            found = snapshot_download(
                name,
                repo_type="dataset",
                revision=revision,
                cache_dir=_lerobot_home() / "hub",
                allow_patterns=["meta/**", "data/**", "videos/**"],
                etag_timeout=_TIMEOUT_S,
                endpoint=os.environ.get("HF_ENDPOINT"),  # as it is now, not when the library was first imported
            )
        except RevisionNotFoundError:
            continue
        except RepositoryNotFoundError as error:
            raise EtudeError(f"there is no dataset '{name}': no folder here, and no such name on the Hub.") from error
        except (OSError, ValueError) as error:
            raise EtudeError(
                f"dataset '{name}' is no folder here, and could not be had from the Hub: {error}. Check the name and "
                "the connection."
            ) from error
        if (Path(found) / INFO).exists():
            return Path(found)
    raise EtudeError(f"'{name}' on the Hub is not a LeRobot dataset: it has no '{INFO}'.")
