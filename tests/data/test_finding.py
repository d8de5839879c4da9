"""A dataset is found by its folder, by its name in LeRobot's home, or on the Hub, here a small server that plays it."""

import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from data.recordings import SPEC, write

from etude.core import EtudeError
from etude.data import DatasetMeta, find_dataset, read_episode

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class _Hub(BaseHTTPRequestHandler):
    """What `snapshot_download` asks of the Hub: a revision's files, and each of them."""

    root: Path
    tags: tuple[str, ...]
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        api, _, rest = self.path.partition("?")[0].partition("/some/set/")
        if api == "/api/datasets" and rest.partition("/")[2] in (*self.tags, COMMIT):
            self._answer(self._files(), {"Content-Type": "application/json"})
        elif api == "/datasets" and rest.startswith("resolve/"):
            content = (self.root / rest.split("/", 2)[2]).read_bytes()
            tag = hashlib.sha256(content).hexdigest()
            self._answer(content, {"ETag": f'"{tag}"', "X-Repo-Commit": COMMIT})
        else:
            wrong = "Revision" if "/some/set/" in self.path else "Repo"
            self._answer(b"", {"X-Error-Code": f"{wrong}NotFound"}, 404)

    do_HEAD = do_GET

    def _files(self) -> bytes:
        names = sorted(str(p.relative_to(self.root)) for p in self.root.rglob("*") if p.is_file())
        if "/tree/" in self.path:
            sizes = {name: (self.root / name).stat().st_size for name in names}
            return json.dumps(
                [{"type": "file", "path": n, "size": s, "oid": COMMIT} for n, s in sizes.items()]
            ).encode()
        siblings = [{"rfilename": name} for name in names]
        return json.dumps({"id": "some/set", "sha": COMMIT, "siblings": siblings}).encode()

    def _answer(self, content: bytes, headers: dict[str, str], status: int = 200) -> None:
        self.send_response(status)
        for key, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[_Hub]]:
    from huggingface_hub import constants

    handler = type("Hub", (_Hub,), {"root": tmp_path / "remote", "tags": ("v3.0",)})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_LEROBOT_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    yield handler
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("tags", [("v3.0", "main"), ("main",)])
def test_a_name_on_the_hub_is_downloaded_once(hub: type[_Hub], tags: tuple[str, ...], tmp_path: Path):
    hub.tags = tags
    recorded = write(tmp_path / "remote", (3, 2))
    root = find_dataset("some/set")
    assert root.is_relative_to(tmp_path / "home" / "hub")
    meta = DatasetMeta.open(root)
    assert meta.lengths == (3, 2)
    assert (read_episode(meta, 1).action == recorded[1].action).all()
    assert find_dataset("some/set") == root


def test_what_the_hub_does_not_have_is_one_line(hub: type[_Hub], tmp_path: Path):
    with pytest.raises(EtudeError, match="no dataset 'other/set': no folder here, and no such name on the Hub"):
        find_dataset("other/set")
    (tmp_path / "remote").mkdir()
    (tmp_path / "remote/README.md").touch()
    hub.tags = ("main",)
    with pytest.raises(EtudeError, match="'some/set' on the Hub is not a LeRobot dataset"):
        find_dataset("some/set")


def test_lerobots_home_comes_before_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_LEROBOT_HOME", str(tmp_path / "home"))
    write(tmp_path / "home/some/set", (2,), SPEC)
    assert find_dataset("some/set") == tmp_path / "home/some/set"


def test_a_folder_is_itself_and_a_misspelt_one_asks_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "data/first", (2,))
    assert find_dataset("data/first") == Path("data/first")
    with pytest.raises(EtudeError, match="no dataset 'data/frist': expected a folder"):
        find_dataset("data/frist")
    with pytest.raises(EtudeError, match="'data' is not a LeRobot dataset"):
        find_dataset("data")
