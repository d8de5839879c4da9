"""Laws of the project itself: light imports, commands that start, plugins that LeRobot finds, one version."""

import importlib.metadata
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = {"torch", "mujoco", "lerobot", "gymnasium", "pandas", "scipy", "matplotlib", "pyarrow", "av", "rich", "tyro"}


def modules_after(statement: str) -> set[str]:
    """Names of the top-level modules that a fresh interpreter holds after `statement`."""
    code = f"{statement}\nimport sys\nprint('modules:', *{{name.partition('.')[0] for name in sys.modules}})"
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert finished.returncode == 0, finished.stderr
    return set(finished.stdout.splitlines()[-1].split()[1:])


def run_etude(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [Path(sys.executable).with_name("etude"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def test_core_loads_nothing_heavy():
    assert not modules_after("import etude.core") & HEAVY


@pytest.mark.parametrize("room", ["core", "search"])
def test_importing_a_pure_room_needs_neither_torch_nor_mujoco(room: str):
    assert not modules_after(f"import etude.{room}") & {"torch", "mujoco", "lerobot"}


def test_help_is_printed_without_loading_heavy_libraries():
    statement = """
import sys
from etude.cli import main
sys.argv = ["etude", "--help"]
try:
    main()
except SystemExit as stopped:
    assert not stopped.code, stopped.code
"""
    assert not modules_after(statement) & (HEAVY - {"rich", "tyro"})


def test_the_console_script_prints_its_help():
    finished = run_etude("--help")
    assert finished.returncode == 0, finished.stderr
    for verb in ("tasks", "collect", "train", "eval", "search", "loop", "report"):
        assert verb in finished.stdout


def test_importing_the_package_leaves_the_environment_and_the_working_folder_alone(tmp_path: Path):
    code = "import os; before = dict(os.environ); import etude, etude.core; assert dict(os.environ) == before"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path, timeout=120)
    assert not list(tmp_path.iterdir())


def test_lerobot_finds_the_policies_by_the_name_of_their_distribution():
    from lerobot.configs.policies import PreTrainedConfig
    from lerobot.utils.import_utils import register_third_party_plugins

    register_third_party_plugins()
    assert "flow" in PreTrainedConfig.get_known_choices()


def test_the_versions_of_the_distributions_agree():
    with (ROOT / "pyproject.toml").open("rb") as file:
        declared = tomllib.load(file)["project"]["version"]
    assert importlib.metadata.version("etude") == declared
    for plugin in ("lerobot_policy_etude", "lerobot_env_etude"):
        assert importlib.metadata.version(plugin) == declared
    assert f"## [{declared}]" in (ROOT / "CHANGELOG.md").read_text()


def test_the_package_says_that_it_is_typed():
    assert (ROOT / "src" / "etude" / "py.typed").is_file()


def test_the_lock_file_names_only_the_public_index():
    with (ROOT / "uv.lock").open("rb") as file:
        sources = [package["source"] for package in tomllib.load(file)["package"]]
    registries = {source["registry"] for source in sources if "registry" in source}
    assert registries == {"https://pypi.org/simple"}


@pytest.fixture
def broken_uv(tmp_path: Path) -> Path:
    """A folder whose `uv` exists and fails, as a pyenv shim does when another version of Python has it."""
    shim = tmp_path / "bin" / "uv"
    shim.parent.mkdir()
    shim.write_text("#!/bin/sh\necho 'pyenv: uv: command not found' >&2\nexit 127\n")
    shim.chmod(0o755)
    return shim.parent


def find_uv(root: Path, path: str, home: Path) -> subprocess.CompletedProcess[str]:
    """Run the repository's `find-uv`, copied below `root`, with another PATH and home."""
    script = root / "scripts" / "find-uv"
    script.parent.mkdir(parents=True)
    script.write_bytes((ROOT / "scripts" / "find-uv").read_bytes())
    environment = {"PATH": path, "HOME": str(home), "PIP_NO_INDEX": "1"}
    return subprocess.run(["/bin/sh", script], capture_output=True, text=True, env=environment, timeout=120)


def fake_uv(path: Path, version: str = "0.13.8") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho 'uv {version} (x86_64-unknown-linux-gnu)'\n")
    path.chmod(0o755)
    return path


def test_a_uv_that_exists_but_fails_is_passed_over(tmp_path: Path, broken_uv: Path):
    working = fake_uv(tmp_path / "home" / ".local" / "bin" / "uv")
    found = find_uv(tmp_path / "clone", f"{broken_uv}:{os.defpath}", tmp_path / "home")
    assert (found.returncode, found.stdout) == (0, f"{working}\n")


def test_a_uv_on_the_path_is_used_as_it_is(tmp_path: Path):
    working = fake_uv(tmp_path / "bin" / "uv")
    found = find_uv(tmp_path / "clone", f"{working.parent}:{os.defpath}", tmp_path / "home")
    assert (found.returncode, found.stdout) == (0, f"{working}\n")
    assert not (tmp_path / "clone" / ".tools").exists()


def test_a_uv_too_old_for_the_lock_file_is_passed_over(tmp_path: Path):
    old = fake_uv(tmp_path / "bin" / "uv", version="0.4.30")
    working = fake_uv(tmp_path / "home" / ".local" / "bin" / "uv", version="1.0.0")
    found = find_uv(tmp_path / "clone", f"{old.parent}:{os.defpath}", tmp_path / "home")
    assert (found.returncode, found.stdout) == (0, f"{working}\n")


def test_a_machine_where_uv_cannot_be_installed_is_told_what_to_install(tmp_path: Path, broken_uv: Path):
    found = find_uv(tmp_path / "clone", f"{broken_uv}:{os.defpath}", tmp_path / "home")
    assert (found.returncode, found.stdout) == (1, "")
    assert "apt-get install python3-venv" in found.stderr.splitlines()[-1]
