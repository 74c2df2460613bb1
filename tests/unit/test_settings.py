"""Settings: sources, their order, files, placeholders, and faults that people can mend."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest

from actors.runtime.settings import SECRETS, Fault, Settings, SettingsInvalid, load_settings


def faults_of(env: Mapping[str, str], folder: Path) -> dict[str, Fault]:
    with pytest.raises(SettingsInvalid) as caught:
        load_settings(env, folder)
    return {fault.name: fault for fault in caught.value.faults}


def test_nothing_is_required(tmp_path: Path) -> None:
    """If it fails, a newcomer cannot start without writing a configuration."""
    settings = load_settings({}, tmp_path)
    assert settings.data_dir == tmp_path / ".ettametta"
    assert settings.media_url == str(tmp_path / ".ettametta" / "media")
    assert settings.nats_url is None
    assert settings.public_url == "http://127.0.0.1:8400"


def test_environment_wins_over_dotenv_over_toml(tmp_path: Path) -> None:
    """If it fails, what a person exports is silently overruled by a file."""
    (tmp_path / "ettametta.toml").write_text('contact = "toml"\ndestination = "toml"\nlog_level = "debug"\n')
    (tmp_path / ".env").write_text("CONTACT=dotenv\nexport DESTINATION='dotenv' # why\n")
    settings = load_settings({"CONTACT": "environment"}, tmp_path)
    assert (settings.contact, settings.destination, settings.log_level) == ("environment", "dotenv", "debug")


@pytest.mark.parametrize(
    "placeholder",
    ["", "  ", "your_google_client_id_here", "your-key", "changeme", "CHANGE_ME", "xxx", "<key>", "...", "paste_here"],
)
def test_a_placeholder_counts_as_unset(tmp_path: Path, placeholder: str) -> None:
    """If it fails, a copied example file is sent to platforms as a credential, or hides the real one below it."""
    assert load_settings({"GROQ_API_KEY": placeholder}, tmp_path).groq_api_key is None
    (tmp_path / ".env").write_text("GROQ_API_KEY=gsk_real\n")
    assert load_settings({"GROQ_API_KEY": placeholder}, tmp_path).groq_api_key == "gsk_real"


def test_a_value_that_only_looks_a_little_like_a_placeholder_is_kept(tmp_path: Path) -> None:
    """If it fails, a real key that contains such words is thrown away."""
    assert load_settings({"GROQ_API_KEY": "gsk_changeme42"}, tmp_path).groq_api_key == "gsk_changeme42"


def test_a_secret_is_read_from_a_file(tmp_path: Path) -> None:
    """If it fails, secrets mounted by Docker or Kubernetes are not found."""
    (tmp_path / "key").write_text("gsk_from_file\n")
    assert load_settings({"GROQ_API_KEY_FILE": str(tmp_path / "key")}, tmp_path).groq_api_key == "gsk_from_file"
    both = {"GROQ_API_KEY": "changeme", "GROQ_API_KEY_FILE": "key"}
    assert load_settings(both, tmp_path).groq_api_key == "gsk_from_file"
    assert load_settings(dict(reversed(both.items())), tmp_path).groq_api_key == "gsk_from_file"
    (tmp_path / "ettametta.toml").write_text('groq_api_key_file = "key"\n')
    assert load_settings({}, tmp_path).groq_api_key == "gsk_from_file"


def test_a_secret_file_that_cannot_serve_is_a_fault(tmp_path: Path) -> None:
    """If it fails, a mistyped mount shows up much later as an unexplained refusal of the platform."""
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "key").write_text("gsk_real")
    found = faults_of(
        {
            "GROQ_API_KEY_FILE": "nowhere",
            "OPENAI_API_KEY_FILE": "empty",
            "PEXELS_API_KEY_FILE": "binary",
            "ELEVENLABS_API_KEY_FILE": "key",
            "ELEVENLABS_API_KEY": "direct",
        },
        tmp_path,
    )
    assert "No such file" in found["GROQ_API_KEY_FILE"].problem
    assert "holds no value" in found["OPENAI_API_KEY_FILE"].problem
    assert "not UTF-8" in found["PEXELS_API_KEY_FILE"].problem
    assert "so is ELEVENLABS_API_KEY" in found["ELEVENLABS_API_KEY_FILE"].problem


def test_all_faults_are_reported_together_with_their_mends(tmp_path: Path) -> None:
    """If it fails, a person mends one setting, starts again, and meets the next."""
    (tmp_path / "ettametta.toml").write_text('destnation = "youtube"\n')
    (tmp_path / ".env").write_text("this is not a setting\nFONT_PATH=none.ttf\n")
    env = {
        "GATEWAY_PORT": "eighty",
        "ACK_WAIT_S": "0",
        "PRIVACY": "secret",
        "NATS_URL": "http://127.0.0.1:4222",
        "DATABASE_URL": "mysql://db/x",
        "GOOGLE_CLIENT_ID": "id",
        "AWS_SECRET_ACCESS_KEY": "key",
        "MEDIA_URL": "s3:///no-bucket",
        "MONETISED": "perhaps",
    }
    found = faults_of(env, tmp_path)
    assert set(found) == {
        *(set(env) - {"GOOGLE_CLIENT_ID", "AWS_SECRET_ACCESS_KEY"}),
        "GOOGLE_CLIENT_SECRET",
        "AWS_ACCESS_KEY_ID",
        "FONT_PATH",
        ".env",
        "ettametta.toml: destnation",
    }
    assert all(fault.mend and fault.problem for fault in found.values())
    assert found["ettametta.toml: destnation"].mend == "Did you mean destination?"
    assert "line 1" in found[".env"].problem
    assert len(str(SettingsInvalid(tuple(found.values()))).splitlines()) == len(found)


@pytest.mark.parametrize(
    "pair", [("GOOGLE_CLIENT_ID", "GOOGLE_CLIENT_SECRET"), ("TIKTOK_CLIENT_KEY", "TIKTOK_CLIENT_SECRET")]
)
def test_half_a_credential_is_a_fault_in_both_directions(tmp_path: Path, pair: tuple[str, str]) -> None:
    """If it fails, connecting an account breaks with the platform's riddle instead of ours."""
    for name, other in (pair, pair[::-1]):
        assert set(faults_of({name: "value"}, tmp_path)) == {other}
    load_settings(dict.fromkeys(pair, "value"), tmp_path)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PUBLIC_URL", "studio.example"),
        ("PUBLIC_URL", "ftp://studio.example"),
        ("PUBLIC_URL", "https://"),
        ("PUBLIC_URL", "https://studio.example/?from=mail"),
        ("PUBLIC_URL", "https://studio.example/#top"),
        ("PUBLIC_URL", "https://user@studio.example"),
        ("PUBLIC_URL", "http://[::1"),
        ("NATS_URL", "nats://host:99999"),
        ("NATS_ADMIN_URL", "host:4222"),
        ("DATABASE_URL", "host/name"),
        ("S3_ENDPOINT_URL", "minio:9000"),
        ("MEDIA_URL", "gs://bucket"),
        ("YOUTUBE_API_URL", "youtube.example"),
    ],
)
def test_a_bad_address_is_a_fault(tmp_path: Path, name: str, value: str) -> None:
    """If it fails, a mistyped address shows up as a connection error far from its cause."""
    assert set(faults_of({name: value}, tmp_path)) == {name}


def test_addresses_are_kept_as_people_write_them(tmp_path: Path) -> None:
    """If it fails, redirect URIs get two slashes, or lawful addresses are refused."""
    settings = load_settings(
        {
            "PUBLIC_URL": "https://studio.example/ettametta/",
            "DATABASE_URL": "postgresql:///ettametta?host=/run/postgresql",
            "NATS_URL": "tls://user:password@bus.example:4222",
            "MEDIA_URL": "s3://bucket/some/prefix",
        },
        tmp_path,
    )
    assert settings.public_url == "https://studio.example/ettametta"
    assert settings.media_url == "s3://bucket/some/prefix"
    assert load_settings({"GATEWAY_PORT": "9000"}, tmp_path).public_url == "http://127.0.0.1:9000"


def test_base_addresses_of_platforms_can_be_replaced(tmp_path: Path) -> None:
    """If it fails, the demo and the tests talk to the real platforms."""
    (tmp_path / "ettametta.toml").write_text('internet_archive_api_url = "http://127.0.0.1:1"\n')
    settings = load_settings({"YOUTUBE_API_URL": "http://127.0.0.1:8401/"}, tmp_path)
    assert settings.api_url("youtube", "https://real.example") == "http://127.0.0.1:8401"
    assert settings.api_url("internet_archive", "https://real.example") == "http://127.0.0.1:1"
    assert settings.api_url("wikimedia_commons", "https://real.example/") == "https://real.example"


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("yes", True),
        ("On", True),
        ("1", True),
        ("TRUE", True),
        ("no", False),
        ("off", False),
        ("0", False),
        ("false", False),
    ],
)
def test_a_switch_can_be_spelt_as_people_do(tmp_path: Path, word: str, *, value: bool) -> None:
    """If it fails, MONETISED=no is refused, or taken for yes."""
    assert load_settings({"MONETISED": word}, tmp_path).monetised is value


def test_relative_paths_start_at_the_folder_of_the_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If it fails, data lands in another folder when the command is started from elsewhere."""
    (tmp_path / "font.ttf").touch()
    (tmp_path / "ettametta.toml").write_text('data_dir = "kept"\nfont_path = "font.ttf"\nmedia_url = "videos"\n')
    monkeypatch.chdir("/")
    settings = load_settings({}, tmp_path)
    assert settings.data_dir == tmp_path / "kept"
    assert settings.font_path == tmp_path / "font.ttf"
    assert settings.media_url == str(tmp_path / "videos")
    assert load_settings({"DATA_DIR": "/srv/ett"}, tmp_path).data_dir == Path("/srv/ett")


@pytest.mark.parametrize("content", [b"contact = ", b"\xff\xfe", b"[table]\nx = 1\n"])
def test_a_broken_toml_is_a_fault_and_no_traceback(tmp_path: Path, content: bytes) -> None:
    """If it fails, a typing mistake in the file ends in a traceback."""
    (tmp_path / "ettametta.toml").write_bytes(content)
    assert all(name.startswith("ettametta.toml") for name in faults_of({}, tmp_path))


def test_a_folder_in_place_of_a_file_is_a_fault(tmp_path: Path) -> None:
    """If it fails, a wrong mount ends in a traceback."""
    (tmp_path / ".env").mkdir()
    (tmp_path / "ettametta.toml").mkdir()
    assert set(faults_of({}, tmp_path)) == {".env", "ettametta.toml"}


def test_values_with_dollars_are_taken_as_they_stand(tmp_path: Path) -> None:
    """If it fails, a password that contains ${...} is changed without a word."""
    (tmp_path / ".env").write_text("PEXELS_API_KEY='a${HOME}b$c'\n")
    assert load_settings({}, tmp_path).pexels_api_key == "a${HOME}b$c"


def test_secrets_never_show(tmp_path: Path) -> None:
    """If it fails, a log line or an error message gives a credential away."""
    secret = "s3cr3t-value"
    env = {name.upper(): secret for name in SECRETS if not name.endswith("_url")}
    env |= {"NATS_URL": f"nats://u:{secret}@h", "DATABASE_URL": f"postgresql://u:{secret}@h/d"}
    pairs = {"GOOGLE_CLIENT_ID": "id", "TIKTOK_CLIENT_KEY": "key", "AWS_ACCESS_KEY_ID": "id"}
    settings = load_settings(env | pairs, tmp_path)
    assert secret not in f"{settings!r} {settings}" + repr(list(settings.__rich_repr__()))
    with pytest.raises(SettingsInvalid) as caught:
        load_settings(
            {name: f"wrong://{secret}" if name.endswith("URL") else value for name, value in env.items()}, tmp_path
        )
    assert caught.value.faults
    assert secret not in str(caught.value) + repr(caught.value.faults)


def test_a_secret_of_the_wrong_type_never_shows(tmp_path: Path) -> None:
    """If it fails, an unquoted number in the TOML file is printed in the fault."""
    (tmp_path / "ettametta.toml").write_text("groq_api_key = 77777\n")
    fault = faults_of({}, tmp_path)["GROQ_API_KEY"]
    assert "77777" not in str(fault)


def test_every_credential_field_is_known_as_a_secret() -> None:
    """If it fails, a new credential is shown in faults and by doctor."""
    named = {f.name for f in msgspec.structs.fields(Settings) if f.name.endswith(("_key", "_secret", "_token"))}
    public = {"tiktok_client_key"}
    assert named - public <= SECRETS


def test_every_field_is_documented() -> None:
    """If it fails, a fault cannot say what a setting means."""
    kinds = {field.name: msgspec.inspect.type_info(field.type) for field in msgspec.structs.fields(Settings)}
    told = {n for n, k in kinds.items() if isinstance(k, msgspec.inspect.Metadata) and k.extra_json_schema}
    assert set(kinds) == told


def test_user_agent_names_the_contact(tmp_path: Path) -> None:
    """If it fails, Wikimedia blocks the scanner, as its user agent policy says."""
    assert load_settings({"CONTACT": "https://studio.example"}, tmp_path).user_agent.endswith(
        "(https://studio.example)"
    )


def test_options_of_platforms_are_read_from_everywhere(tmp_path: Path) -> None:
    """A platform that is added would need a line in the settings."""
    (tmp_path / "key").write_text("from a file\n")
    (tmp_path / ".env").write_text("SOMEWHERE_API_KEY_FILE=key\nELSEWHERE_CHANNELS=a,b\n")
    settings = load_settings({"NOWHERE_ACCESS_TOKEN": "t", "UNRELATED": "x"}, tmp_path)
    assert settings.option("somewhere_api_key") == "from a file"
    assert settings.option("elsewhere_channels") == "a,b"
    assert settings.option("nowhere_access_token") == "t"
    assert settings.option("render_workers") == "0", "a field is an option too"
    assert settings.option("unrelated") is None


def test_files_of_other_programs_stop_nothing(tmp_path: Path) -> None:
    """A variable of another program in the environment would stop every command."""
    load_settings({"VAULT_CLIENT_KEY_FILE": "/nonexistent"}, tmp_path)
    (tmp_path / ".env").write_text("VAULT_CLIENT_KEY_FILE=/nonexistent\n")
    with pytest.raises(SettingsInvalid, match="VAULT_CLIENT_KEY_FILE"):
        load_settings({}, tmp_path)
