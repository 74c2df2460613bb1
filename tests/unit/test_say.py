"""What a person's mistake and a stranger's title look like on a terminal."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from deploy.cli import ELSEWHERE, main
from deploy.say import plain


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def test_titles_do_not_steer_the_terminal() -> None:
    """A title could colour, rename or clear the terminal of whoever lists works."""
    assert plain("\x1b[31mRED\x1b[0m \u202eevil\x07\tend\n") == "[31mRED[0m evil end\n"
    assert plain("नमस्ते \U0001f469\u200d\U0001f680 שלום") == "नमस्ते \U0001f469\u200d\U0001f680 שלום"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("effects", "--sheet", "{folder}"), "it is a folder"),
        (("effects", "--sheet", "{folder}/x.txt"), "is no name of a picture"),
        (("render", "{file}", "-o", "{folder}"), "it is a folder"),
        (("plan", "{file}", "--licence", "owned", "--attest", "mine", "-o", "{folder}"), "it is a folder"),
        (("import", "{file}", "--licence", "owned", "--attest", "mine"), "is empty"),
        (("import", "ftp://x/y.mp4", "--licence", "owned", "--attest", "mine"), "begin it with http"),
        (("import", "{file}", "--licence", "permission", "--attest", "a", "--until", "2020-01-01"), "ended on 2020"),
        (
            ("import", "{file}", "--licence", "permission", "--attest", "a", "--until", "%Y"),
            "'%Y' is no time. Write it",
        ),
        (("import", "{file}", "--licence", "permission", "--attest", "a", "--only-on", "tiktokk"), "no platform"),
    ],
)
def test_mistakes_end_in_one_line(
    arguments: tuple[str, ...], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A traceback after a whole render, or a refusal hours later, for what could be told at once."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty.mp4").touch()
    words = {"folder": str(tmp_path), "file": str(tmp_path / "empty.mp4")}
    ended = run(*(argument.format(**words) for argument in arguments))
    assert ended.exit_code == 2, ended.output
    assert told in ended.output
    assert len(ended.output.strip().splitlines()) == 1


def test_file_without_candidates_says_so(tmp_path: Path) -> None:
    """Silence looks like a program that did nothing."""
    (tmp_path / "none.jsonl").touch()
    ended = run("rank", str(tmp_path / "none.jsonl"))
    assert ended.exit_code == 0
    assert "holds no candidates" in ended.stderr


def test_the_list_of_commands_says_what_each_command_says() -> None:
    """A command is described otherwise where it is listed than where it is asked for help."""
    listed = {name: each.words for name, each in ELSEWHERE.items()}
    assert listed == {name: each.load().get_short_help_str(1000) for name, each in ELSEWHERE.items()}


def test_help_loads_no_command() -> None:
    """`ettametta --help` takes seconds, because every command is loaded with all that it needs."""
    code = (
        "import sys\nfrom deploy.cli import ELSEWHERE, main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "sys.exit(' '.join(each.module for each in ELSEWHERE.values() if each.module in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == ""
    assert {"accounts", "demo", "import", "post", "rank", "status"} <= {
        line.split()[0] for line in done.stdout.splitlines() if line.startswith("  ")
    }
