"""Settings: one frozen struct, read once from the environment, `.env` and `ettametta.toml`.

The environment wins over `.env`, which wins over `ettametta.toml`; names are upper case in the first two and
lower case in the last. `NAME_FILE` reads the value from a file. Placeholders count as unset. Every fault is
found before anything is reported.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

import msgspec
from dotenv import dotenv_values
from msgspec import Meta, Struct

from contracts.errors import EttamettaError
from contracts.platform import Privacy

__all__ = ["SECRETS", "Fault", "Settings", "SettingsInvalid", "load_settings"]

_PLACEHOLDER = re.compile(
    r"^(|your[_-].*|.*[_-]here|changeme|change[_-]me|placeholder|todo|xxx+|<.*>|\.\.\.)$", re.IGNORECASE
)
_API_URL: Final = re.compile(r"^([A-Z][A-Z0-9_]*)_API_URL$")


class Fault(Struct, frozen=True):
    """One wrong setting and its mend."""

    name: str
    problem: str
    mend: str

    def __str__(self) -> str:
        return f"{self.name}: {self.problem}. {self.mend}"


class SettingsInvalid(EttamettaError):
    """Some settings are wrong. `faults` has them all."""

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        super().__init__("\n".join(str(fault) for fault in faults))
        self.faults = faults


class Settings(Struct, frozen=True, kw_only=True):
    """Every setting. The environment name of a field is the field's name in capitals."""

    data_dir: Annotated[Path, Meta(description="Folder of everything that is kept on this machine.")] = Path(
        ".ettametta"
    )
    nats_url: Annotated[str | None, Meta(description="NATS server; unset: an embedded one.")] = None
    database_url: Annotated[str | None, Meta(description="PostgreSQL; unset: an embedded one.")] = None
    public_url: Annotated[str, Meta(description="Address at which browsers reach the gateway.")] = (
        "http://127.0.0.1:8400"
    )
    gateway_host: Annotated[str, Meta(description="Address the gateway listens on.")] = "127.0.0.1"
    gateway_port: Annotated[int, Meta(description="Port the gateway listens on; 0: any free one.", ge=0, le=65535)] = (
        8400
    )
    media_url: Annotated[str, Meta(description="Folder or s3://bucket/prefix for media; empty: data_dir/media.")] = ""
    s3_endpoint_url: Annotated[str | None, Meta(description="S3-compatible server; unset: AWS.")] = None
    aws_access_key_id: Annotated[str | None, Meta(description="S3 access key id; unset: the usual AWS chain.")] = None
    aws_secret_access_key: Annotated[str | None, Meta(description="S3 secret key.")] = None
    aws_region: Annotated[str | None, Meta(description="S3 region.")] = None
    google_client_id: Annotated[str | None, Meta(description="Google OAuth client, for YouTube.")] = None
    google_client_secret: Annotated[str | None, Meta(description="Its secret.")] = None
    tiktok_client_key: Annotated[str | None, Meta(description="TikTok client key.")] = None
    tiktok_client_secret: Annotated[str | None, Meta(description="Its secret.")] = None
    groq_api_key: Annotated[str | None, Meta(description="Groq: language model and transcripts.")] = None
    openai_api_key: Annotated[str | None, Meta(description="OpenAI-compatible fallback.")] = None
    elevenlabs_api_key: Annotated[str | None, Meta(description="ElevenLabs: voices.")] = None
    pexels_api_key: Annotated[str | None, Meta(description="Pexels: stock video.")] = None
    font_path: Annotated[Path | None, Meta(description="Font file of captions; unset: found by itself.")] = None
    secret_key: Annotated[str | None, Meta(description="Key that encrypts tokens; unset: made in data_dir.")] = None
    contact: Annotated[str, Meta(description="Address or page named in the User-Agent, as Commons asks.")] = ""
    destination: Annotated[str | None, Meta(description="Platform that winners are posted to; unset: kept here.")] = (
        None
    )
    privacy: Annotated[Privacy, Meta(description="Who may see new posts.")] = "private"
    monetised: Annotated[bool, Meta(description="The channel earns money: non-commercial licences are refused.")] = True
    ack_wait_s: Annotated[
        float, Meta(description="Time after which a silent worker's message goes to another, seconds.", ge=1, le=300)
    ] = 15.0
    log_level: Annotated[
        str, Meta(description="debug, info, warning or error.", pattern="^(?i:debug|info|warning|error)$")
    ] = "info"
    metrics: Annotated[bool, Meta(description="Keep Prometheus metrics (extra `telemetry`).")] = False
    api_urls: Annotated[
        dict[str, str], Meta(description="Base addresses that replace the real ones, from NAME_API_URL.")
    ] = {}

    def api_url(self, name: str, default: str) -> str:
        """Return the base address of `name` without a trailing slash."""
        return self.api_urls.get(name, default).rstrip("/")

    @property
    def user_agent(self) -> str:
        return f"ettametta/{version('ettametta')} ({self.contact or 'self-hosted; no contact set'})"

    def __repr__(self) -> str:
        return "Settings(...)"


SECRETS: Final = frozenset(
    {
        "aws_secret_access_key",
        "database_url",
        "elevenlabs_api_key",
        "google_client_secret",
        "groq_api_key",
        "nats_url",
        "openai_api_key",
        "pexels_api_key",
        "secret_key",
        "tiktok_client_secret",
    }
)
"""Fields whose values are never shown."""

_FIELDS: Final = {field.name: field for field in msgspec.structs.fields(Settings) if field.name != "api_urls"}
_OPTIONAL_URLS: Final = {
    "nats_url": ("nats", "tls", "ws", "wss"),
    "database_url": ("postgresql", "postgres"),
    "public_url": ("http", "https"),
    "s3_endpoint_url": ("http", "https"),
}
_PAIRS: Final = (
    ("google_client_id", "google_client_secret"),
    ("tiktok_client_key", "tiktok_client_secret"),
    ("aws_access_key_id", "aws_secret_access_key"),
)


def load_settings(env: Mapping[str, str] | None = None, folder: Path | None = None) -> Settings:
    """Read the settings. Raises: SettingsInvalid with every fault."""
    folder = Path() if folder is None else folder
    faults: list[Fault] = []
    given = _toml_values(folder / "ettametta.toml", faults)
    for source in (dotenv_values(folder / ".env"), os.environ if env is None else env):
        given |= _named_values({name: value for name, value in source.items() if value is not None}, faults)
    given = {name: value for name, value in given.items() if not _is_placeholder(value)}
    api_urls = {name[: -len("_api_url")]: str(given.pop(name)) for name in sorted(given) if name.endswith("_api_url")}
    values: dict[str, Any] = {"api_urls": api_urls}
    for name, value in given.items():
        kind = _FIELDS[name].type
        try:
            values[name] = msgspec.convert(value, kind, strict=False, dec_hook=lambda wanted, raw: wanted(raw))
        except (msgspec.ValidationError, TypeError) as error:
            shown = "the value" if name in SECRETS else repr(value)
            faults.append(Fault(name.upper(), f"{shown} does not fit ({error})", f"It means: {_describe(name)}"))
    faults += _check_urls(values, api_urls)
    for pair in _PAIRS:
        have = [name for name in pair if name in values]
        if len(have) == 1:
            other = pair[1] if have[0] == pair[0] else pair[0]
            faults.append(Fault(other.upper(), f"is not set although {have[0].upper()} is", "Set both or neither"))
    if "font_path" in values and not values["font_path"].is_file():
        faults.append(
            Fault("FONT_PATH", f"there is no file {values['font_path']}", "Name a .ttf or .otf file, or unset it")
        )
    if faults:
        raise SettingsInvalid(tuple(faults))
    values["data_dir"] = Path(values.get("data_dir", Settings().data_dir)).expanduser().absolute()
    values.setdefault("media_url", str(values["data_dir"] / "media"))
    return Settings(**values)


def _named_values(source: Mapping[str, str], faults: list[Fault]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in source.items():
        if (name.lower() in _FIELDS and name.isupper()) or _API_URL.match(name):
            found[name.lower()] = value
        elif name.endswith("_FILE") and name[:-5].lower() in _FIELDS and not _is_placeholder(value):
            try:
                found[name[:-5].lower()] = Path(value).read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                faults.append(Fault(name, f"cannot read {value} ({error})", "Name a readable text file"))
    return found


def _toml_values(path: Path, faults: list[Fault]) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        faults.append(Fault(path.name, f"is not valid TOML ({error})", "Mend that line"))
        return {}
    for name in [name for name in values if name not in _FIELDS and not _API_URL.match(name.upper())]:
        faults.append(Fault(f"{path.name}: {name}", "there is no such setting", f"Known: {', '.join(sorted(_FIELDS))}"))
        del values[name]
    return values


def _is_placeholder(value: Any) -> bool:
    return isinstance(value, str) and _PLACEHOLDER.match(value.strip()) is not None


def _describe(name: str) -> str:
    kind = msgspec.inspect.type_info(_FIELDS[name].type)
    description = (
        (kind.extra_json_schema or {}).get("description") if isinstance(kind, msgspec.inspect.Metadata) else None
    )
    return str(description or name)


def _check_urls(values: Mapping[str, Any], api_urls: Mapping[str, str]) -> list[Fault]:
    faults = []
    named = {name: (values[name], schemes) for name, schemes in _OPTIONAL_URLS.items() if name in values}
    named |= {f"{name}_api_url": (url, ("http", "https")) for name, url in api_urls.items()}
    for name, (url, schemes) in named.items():
        parts = urlsplit(url)
        if parts.scheme not in schemes or (not parts.netloc and name != "database_url"):
            wanted = " or ".join(f"{scheme}://" for scheme in schemes)
            faults.append(Fault(name.upper(), "is not a full address", f"Begin it with {wanted} and a host"))
    return faults
