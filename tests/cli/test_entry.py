import errno
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cli.running import Run

from etude.cli import entry, main
from etude.cli.usage import condense
from etude.cli.verbs import GROUPS, VERBS
from etude.core import EtudeError

ETUDE = Path(sys.executable).with_name("etude")
HEAVY = ("torch", "mujoco", "lerobot", "matplotlib", "pyarrow", "scipy", "gymnasium")


@dataclass(frozen=True)
class NoOptions:
    pass


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException], None]:
    """Make every command raise an error when it runs."""

    def fail_with(error: BaseException) -> None:
        def run(options: Any) -> None:
            raise error

        def parse(options: object, verb: str, rest: list[str]) -> Any:
            return NoOptions()

        def load(name: str) -> SimpleNamespace:
            return SimpleNamespace(run=run, Options=None)

        monkeypatch.setattr(entry, "import_module", load)
        monkeypatch.setattr(entry, "parse", parse)

    return fail_with


def one_line(text: str) -> str:
    assert text.startswith("etude: "), text
    assert text.count("\n") == 1, text
    return text


def test_help_names_every_command_with_an_example(capsys: pytest.CaptureFixture[str]):
    for group in ("", *GROUPS):
        assert main([*group.split(), "--help"]) == 0
    told = capsys.readouterr().out
    for verb in VERBS:
        assert f"  {verb.split()[-1]} " in told
        assert f"  etude {verb}" in told


@pytest.mark.parametrize("verb", VERBS)
def test_every_command_explains_every_option_and_gives_examples(verb: str, capsys: pytest.CaptureFixture[str]):
    assert main([*verb.split(), "--help"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert f"Examples: etude {verb} " in told
    options = entry.import_module(VERBS[verb].module).Options
    documented = "".join((base.__doc__ or "").partition("Attributes:")[2] for base in options.__mro__)
    for field in options.__dataclass_fields__:
        assert f" {field}: " in documented, field


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], *([*verb.split(), "--help"] for verb in VERBS)])
def test_help_loads_nothing_heavy(arguments: list[str]):
    code = f"""
import sys
from etude.cli import main
main({arguments!r})
print("loaded:", *[m for m in {HEAVY!r} if m in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "loaded:"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["colect"], "unknown command 'colect'. Did you mean 'collect'?"),
        (["--json", "tasks"], "the command comes first"),
        (["collect", "t", "--episode", "3"], "unknown option '--episode'. Did you mean '--episodes'?"),
        (["collect", "t", "--episodes", "three", "--out", "o"], "--episodes: invalid literal for int()"),
        (
            ["generate", "--source", "s", "--attempts", "two", "--out", "o"],
            "etude: --attempts two: must be a whole number.",
        ),
        (["collect", "--out", "o"], "Missing from etude collect: TASK, --episodes INT."),
        (
            ["collect", "t", "--episodes", "3", "--out", "o", "--space", "unifrm"],
            "unknown --space 'unifrm'. Did you mean 'uniform'?",
        ),
        (["collect", "t", "--episodes", "3", "--episodes", "4"], "option --episodes is given twice"),
        (["eval", "t", "u", "--policy", "expert", "--out", "o"], "Unrecognized options: u."),
    ],
)
def test_bad_usage_is_one_line_and_exit_code_2(arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]):
    assert main(arguments) == 2
    printed = capsys.readouterr()
    assert told in one_line(printed.err)
    assert not printed.out


def test_an_error_a_person_can_put_right_is_one_line(
    failing: Callable[[BaseException], None], capsys: pytest.CaptureFixture[str]
):
    failing(EtudeError("first\n  second"))
    assert main(["collect"]) == 2
    assert one_line(capsys.readouterr().err) == "etude: first second\n"


def test_an_interrupt_says_how_to_go_on(failing: Callable[[BaseException], None], capsys: pytest.CaptureFixture[str]):
    failing(KeyboardInterrupt())
    assert main(["collect", "t", "--out", "a b"]) == 130
    assert one_line(capsys.readouterr().err).endswith("Go on with: etude collect t --out 'a b' --resume\n")
    assert main(["collect", "t", "--resume"]) == 130
    assert one_line(capsys.readouterr().err).count("--resume") == 1
    assert main(["report", "r"]) == 130
    assert "nothing was written" in one_line(capsys.readouterr().err)


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device", "somewhere/file"),
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        RuntimeError("I/O error: No space left on device (os error 28)"),
    ],
)
def test_a_full_disk_is_one_line(
    error: Exception, failing: Callable[[BaseException], None], capsys: pytest.CaptureFixture[str]
):
    failing(error)
    assert main(["train"]) == 2
    assert "the disk is full" in one_line(capsys.readouterr().err)


def test_a_limit_on_file_sizes_is_one_line(
    failing: Callable[[BaseException], None], capsys: pytest.CaptureFixture[str]
):
    for error in (OSError(errno.EFBIG, "File too large", "a/file"), RuntimeError("File too large (os error 27)")):
        failing(error)
        assert main(["loop"]) == 2
        assert "ulimit -f" in one_line(capsys.readouterr().err)


def test_a_folder_that_may_not_be_written_is_one_line(
    failing: Callable[[BaseException], None], capsys: pytest.CaptureFixture[str]
):
    failing(PermissionError(errno.EACCES, "Permission denied", "/data"))
    assert main(["train"]) == 2
    assert one_line(capsys.readouterr().err) == "etude: cannot use '/data': permission denied.\n"


def test_a_bug_keeps_its_traceback(failing: Callable[[BaseException], None]):
    failing(ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        main(["train"])


def test_a_reader_that_goes_away_is_no_complaint():
    # The pipe is closed before the command begins to print.
    code = "import sys; from etude.cli import main; sys.exit(main(['--help']))"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    with process.stderr as told:
        assert told.read() == b""
    assert process.wait(60) == 141


def test_the_installed_command_exits_with_the_code():
    done = subprocess.run([ETUDE, "colect"], capture_output=True, text=True)
    assert done.returncode == 2
    assert one_line(done.stderr)


def test_a_framed_complaint_is_condensed_without_its_explanations():
    box = """\
╭─ Required options ───────────╮
│ Missing from etude collect:  │
│     TASK                     │
│         What. (required)     │
│     --episodes INT           │
│ ──────────────────────────── │
│ For full helptext, run:      │
╰──────────────────────────────╯
"""
    assert condense(box) == "Missing from etude collect: TASK, --episodes INT."
    assert condense("something else entirely\n") == "something else entirely."


def test_a_choice_that_there_is_not_is_told_with_the_nearest(run: Run):
    told = run("generate", "--source", "a", "--accepted", 3, "--select", "nearest-objects", "--out", "b", code=2)[1]
    choices = "nearest-object, nearest-robot, random"
    assert told == f"etude: unknown --select 'nearest-objects'. Did you mean 'nearest-object'? Valid: {choices}.\n"
