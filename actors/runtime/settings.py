"""Settings: one frozen struct, read once from the environment, `.env` and `ettametta.toml`.

The environment wins over `.env`, which wins over `ettametta.toml`; names are upper case in the first two and
lower case in the last. `NAME_FILE` reads the value from a file. Placeholders count as unset. Relative paths start
at the folder of the files, normally the working directory. Every fault is found before anything is reported.
"""

from __future__ import annotations

import difflib
import io
import os
import re
import tomllib
from collections.abc import Collection, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import SplitResult, urlsplit

import msgspec
from dotenv.parser import parse_stream
from msgspec import Meta, Struct

from contracts.errors import EttamettaError
from contracts.platform import Privacy

__all__ = ["SECRETS", "Fault", "Settings", "SettingsInvalid", "load_settings", "unread_names"]

_PLACEHOLDER = re.compile(
    r"^(|your[_-].*|.*[_-]here|changeme|change[_-]me|placeholder|todo|xxx+|<.*>|\.\.\.)$", re.IGNORECASE
)
_API_URL: Final = re.compile(r"^([A-Z][A-Z0-9_]*)_API_URL$")
_OPTION: Final = re.compile(
    r"^[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*_(?:API_KEY|CLIENT_ID|CLIENT_SECRET|CLIENT_KEY|ACCESS_TOKEN|BEARER_TOKEN"
    r"|APP_PASSWORD|HANDLE|USER_ID|PAGE_IDS|SERVERS?|CHANNELS|SUBREDDITS|REGION|ENABLED)$"
)
"""Names that platforms may declare as their `NEEDS`; a platform that is added needs no line here."""


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
    nats_admin_url: Annotated[str | None, Meta(description="NATS user who may set up the stream; unset: NATS_URL.")] = (
        None
    )
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
    groq_api_key: Annotated[str | None, Meta(description="Groq: words of posts, and transcripts.")] = None
    groq_model: Annotated[str, Meta(description="Groq's language model; it needs structured output.")] = (
        "openai/gpt-oss-20b"
    )
    groq_transcript_model: Annotated[str, Meta(description="Groq's model for transcripts.")] = "whisper-large-v3-turbo"
    openai_api_key: Annotated[
        str | None, Meta(description="An OpenAI-compatible server (OPENAI_API_URL), where there is no Groq key.")
    ] = None
    openai_model: Annotated[str | None, Meta(description="Its language model; unset: the one known to do.")] = None
    llm_calls_a_day: Annotated[
        int,
        Meta(description="Calls a day in which a language model votes; at most 50 more propose niches; 0: none.", ge=0),
    ] = 200
    elevenlabs_api_key: Annotated[str | None, Meta(description="ElevenLabs: voices.")] = None
    youtube_searches_per_day: Annotated[
        int, Meta(description="Search calls a day that Google grants the project of YOUTUBE_API_KEY.", ge=0)
    ] = 100
    youtube_units_per_day: Annotated[
        int, Meta(description="Units a day that Google grants the same project for all other calls.", ge=0)
    ] = 10_000
    trends_region: Annotated[
        str | None, Meta(description="Country whose rising topics are asked for, as US; unset: each platform's usual.")
    ] = None
    proposed_niches_watched: Annotated[
        int, Meta(description="Most proposed niches that are watched without a person's word.", ge=0)
    ] = 0
    pexels_api_key: Annotated[str | None, Meta(description="Pexels: stock video.")] = None
    font_path: Annotated[Path | None, Meta(description="Font file of captions; unset: found by itself.")] = None
    secret_key: Annotated[str | None, Meta(description="Key that encrypts tokens; unset: made in data_dir.")] = None
    contact: Annotated[str, Meta(description="Address or page named in the User-Agent, as Commons asks.")] = ""
    destination: Annotated[str | None, Meta(description="Platform that winners are posted to; unset: kept here.")] = (
        None
    )
    privacy: Annotated[Privacy, Meta(description="Who may see new posts.")] = "private"
    upload_bytes_per_s: Annotated[
        int, Meta(description="Most bytes a second that one publisher uploads; 0: as fast as it goes.", ge=0)
    ] = 0
    late_posts: Annotated[
        str,
        Meta(
            description="Posts whose time has passed by more than LATE_AFTER_S: post (late), skip, or ask a person.",
            pattern="^(?:post|skip|ask)$",
        ),
    ] = "ask"
    late_after_s: Annotated[float, Meta(description="How late a post may be without being late, seconds.", ge=0)] = (
        3600.0
    )
    youtube_uploads_per_day: Annotated[
        int, Meta(description="Upload calls a day that Google grants the project of GOOGLE_CLIENT_ID.", ge=0)
    ] = 100
    monetised: Annotated[bool, Meta(description="The channel earns money: non-commercial licences are refused.")] = True
    render_chunk_from_s: Annotated[
        float, Meta(description="Plans at least this long are rendered in chunks by all renderers, seconds.", ge=0)
    ] = 60.0
    render_device: Annotated[
        str, Meta(description="auto, cpu or cuda: what draws and encodes.", pattern="^(?:auto|cpu|cuda)$")
    ] = "auto"
    render_workers: Annotated[
        int, Meta(description="Chunks that one renderer works on side by side; 0: one for each core.", ge=0, le=256)
    ] = 0
    media_max_duration_s: Annotated[int, Meta(description="Longer videos are refused, seconds.", ge=1)] = 43_200
    media_max_side_px: Annotated[
        int, Meta(description="Pictures that are wider or higher are refused, px.", ge=16, le=65_535)
    ] = 8192
    media_max_pixels: Annotated[int, Meta(description="Pictures of more pixels are refused.", ge=256)] = 35_651_584
    media_max_streams: Annotated[int, Meta(description="Files that hold more streams are refused.", ge=1)] = 64
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

    options: Annotated[dict[str, str], Meta(description="Settings that platforms declare, by lower-case name.")] = {}

    def option(self, name: str) -> str | None:
        """Return the setting that a platform declares as `name`; None: it is not set."""
        value = getattr(self, name) if name in _FIELDS else self.options.get(name)
        return None if value is None else str(value)

    def api_url(self, name: str, default: str) -> str:
        """Return the base address of `name` without a trailing slash."""
        return self.api_urls.get(name, default).rstrip("/")

    @property
    def user_agent(self) -> str:
        return f"ettametta/{version('ettametta')} ({self.contact or 'self-hosted; no contact set'})"

    @property
    def media_environment(self) -> dict[str, str]:
        """What processes that read media take from the environment, see untrusted."""
        names = ("media_max_duration_s", "media_max_side_px", "media_max_pixels", "media_max_streams")
        return {name.upper(): str(getattr(self, name)) for name in names}

    def __repr__(self) -> str:
        return "Settings(...)"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """Show nothing in rich's tracebacks either, which would print every field."""
        return []


SECRETS: Final = frozenset(
    {
        "aws_secret_access_key",
        "database_url",
        "elevenlabs_api_key",
        "google_client_secret",
        "groq_api_key",
        "nats_admin_url",
        "nats_url",
        "openai_api_key",
        "pexels_api_key",
        "secret_key",
        "tiktok_client_secret",
    }
)
"""Fields whose values are never shown."""

_FIELDS: Final = {
    field.name: field for field in msgspec.structs.fields(Settings) if field.name not in {"api_urls", "options"}
}
_SWITCHES: Final = {"yes": True, "on": True, "no": False, "off": False}
"""Spellings of a switch beside true, false, 1 and 0."""

_NATS_SCHEMES: Final = ("nats", "tls", "ws", "wss")
_SCHEMES: Final = {
    "nats_url": _NATS_SCHEMES,
    "nats_admin_url": _NATS_SCHEMES,
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
    """Read the settings. folder: of `.env` and `ettametta.toml`. Raises: SettingsInvalid with every fault."""
    folder = (Path() if folder is None else folder).absolute()
    faults: list[Fault] = []
    given: dict[str, Any] = {}
    for source, own in (
        (_toml_values(folder / "ettametta.toml", faults), True),
        (_dotenv_values(folder / ".env", faults), True),
        (os.environ if env is None else env, False),
    ):
        given |= _named_values(source, folder, faults, own=own)
    api_urls = {name.removesuffix("_api_url"): given.pop(name) for name in sorted(given) if name.endswith("_api_url")}
    options = {name: str(given.pop(name)).strip() for name in sorted(given) if name not in _FIELDS}
    values: dict[str, Any] = {"api_urls": {name: str(url) for name, url in api_urls.items()}, "options": options}
    for name, value in given.items():
        try:
            values[name] = _fit(name, value)
        except (msgspec.ValidationError, TypeError) as error:
            shown = "the value" if name in SECRETS else repr(value)
            faults.append(Fault(name.upper(), f"{shown} does not fit ({error})", f"It means: {_describe(name)}"))
    faults += _check_urls(values)
    faults += _check_pairs(values)
    _place(values, folder, faults)
    if faults:
        raise SettingsInvalid(tuple(faults))
    return Settings(**values)


def unread_names(declared: Collection[str], folder: Path | None = None) -> tuple[tuple[str, str], ...]:
    """Return each name in `.env` that nothing reads, with the known name that is closest ("" where none is close).

    declared: settings that platforms declare, lower case. SANDBOX_* is for the sandbox.
    """
    known = {*(name.upper() for name in _FIELDS), *(name.upper() for name in declared)}
    found = []
    for name in _dotenv_values((Path() if folder is None else folder).absolute() / ".env", []):
        plain = name.removesuffix("_FILE")
        if (
            name.isupper()
            and not {name, plain} & known
            and not _API_URL.match(name)
            and not name.startswith("SANDBOX_")
        ):
            found.append((name, next(iter(difflib.get_close_matches(name, known, n=1)), "")))
    return tuple(found)


def _named_values(source: Mapping[str, Any], folder: Path, faults: list[Fault], *, own: bool) -> dict[str, Any]:
    """Pick what names a setting, with the content of what names a file instead. own: written for this program alone."""
    set_here = {name: value for name, value in source.items() if not _is_placeholder(value)}
    found: dict[str, Any] = {}
    for name, value in set_here.items():
        plain = name.removesuffix("_FILE")
        if not name.isupper():
            continue
        known = plain.lower() in _FIELDS or _OPTION.match(plain)
        if name.lower() in _FIELDS or _API_URL.match(name) or _OPTION.match(name):
            found[name.lower()] = value
        elif known and plain in set_here:
            faults.append(Fault(name, f"is set, and so is {plain}", "Unset one of them"))
        elif known:
            try:
                text = (folder / Path(str(value)).expanduser()).read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                # In the environment, what only looks like a platform's setting may be another program's.
                if own or plain.lower() in _FIELDS:
                    faults.append(Fault(name, f"cannot read {value} ({_short(error)})", "Name a readable text file"))
                continue
            if _is_placeholder(text):
                faults.append(Fault(name, f"{value} holds no value", "Put the value into that file, or unset it"))
                continue
            found[plain.lower()] = text
    return found


def _dotenv_values(path: Path, faults: list[Fault]) -> dict[str, str]:
    text = _text_of(path, faults)
    values: dict[str, str] = {}
    for line in parse_stream(io.StringIO(text)):
        if line.error:
            faults.append(Fault(path.name, f"line {line.original.line} is not NAME=value", "Mend or remove that line"))
        elif line.key is not None and line.value is not None:
            values[line.key] = line.value
    return values


def _toml_values(path: Path, faults: list[Fault]) -> dict[str, Any]:
    """Return the values by upper-case name, as the other two sources have them."""
    try:
        values = tomllib.loads(_text_of(path, faults))
    except tomllib.TOMLDecodeError as error:
        faults.append(Fault(path.name, f"is not valid TOML ({error})", "Mend that line"))
        return {}
    known: dict[str, Any] = {}
    for name, value in values.items():
        if (
            name in _FIELDS
            or name.removesuffix("_file") in _FIELDS
            or ((_API_URL.match(name.upper()) or _OPTION.match(name.upper())) and name.islower())
        ):
            known[name.upper()] = value
        else:
            close = difflib.get_close_matches(name.lower(), _FIELDS, n=1)
            mend = f"Did you mean {close[0]}?" if close else f"Known: {', '.join(sorted(_FIELDS))}"
            faults.append(Fault(f"{path.name}: {name}", "there is no such setting", mend))
    return known


def _text_of(path: Path, faults: list[Fault]) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        faults.append(
            Fault(path.name, f"cannot be read ({_short(error)})", "Make it a readable UTF-8 text, or remove it")
        )
        return ""


def _short(error: OSError | UnicodeDecodeError) -> str:
    """Return the cause without the content or the path."""
    return error.strerror or type(error).__name__ if isinstance(error, OSError) else "it is not UTF-8 text"


def _is_placeholder(value: Any) -> bool:
    return isinstance(value, str) and _PLACEHOLDER.match(value.strip()) is not None


def _fit(name: str, value: Any) -> Any:
    """Read a value as its field's type. Raises: msgspec.ValidationError."""
    if isinstance(value, str):
        value = value.strip()
        if isinstance(_bare_type(name), msgspec.inspect.BoolType):
            value = _SWITCHES.get(value.lower(), value)
    return msgspec.convert(value, _FIELDS[name].type, strict=False, dec_hook=lambda wanted, raw: wanted(raw))


def _bare_type(name: str) -> msgspec.inspect.Type:
    kind = msgspec.inspect.type_info(_FIELDS[name].type)
    return kind.type if isinstance(kind, msgspec.inspect.Metadata) else kind


def _describe(name: str) -> str:
    kind = msgspec.inspect.type_info(_FIELDS[name].type)
    extra = kind.extra_json_schema if isinstance(kind, msgspec.inspect.Metadata) else None
    return str((extra or {}).get("description") or name)


def _check_pairs(values: Mapping[str, Any]) -> list[Fault]:
    faults = []
    for pair in _PAIRS:
        for name, other in (pair, pair[::-1]):
            if name in values and other not in values:
                faults.append(Fault(other.upper(), f"is not set although {name.upper()} is", "Set both or neither"))
    return faults


def _check_urls(values: Mapping[str, Any]) -> list[Fault]:
    named = {name: (values[name], schemes) for name, schemes in _SCHEMES.items() if name in values}
    named |= {f"{name}_api_url": (url, ("http", "https")) for name, url in values["api_urls"].items()}
    faults = []
    for name, (url, schemes) in named.items():
        parts = _split(url)
        # PostgreSQL may be named by socket folder: postgresql:///name?host=/run/postgresql.
        if parts is None or parts.scheme not in schemes or not (parts.hostname or name == "database_url"):
            wanted = " or ".join(f"{scheme}://" for scheme in schemes)
            faults.append(Fault(name.upper(), "is not a full address", f"Begin it with {wanted} and a host"))
        elif name == "public_url" and (parts.query or parts.fragment or parts.username):
            faults.append(Fault("PUBLIC_URL", "has more than a host and a path", "Leave out user, ? and #"))
    media = str(values.get("media_url", ""))
    if "://" in media and ((parts := _split(media)) is None or parts.scheme != "s3" or not parts.netloc):
        faults.append(Fault("MEDIA_URL", "is neither a folder nor s3://bucket/prefix", "Name one of the two"))
    return faults


def _split(url: str) -> SplitResult | None:
    """Return the parts of an address, or None where it is none; looking at the port checks it."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    return parts


def _place(values: dict[str, Any], folder: Path, faults: list[Fault]) -> None:
    """Make paths absolute and fill what follows from other settings."""
    values["data_dir"] = folder / Path(values.get("data_dir", Settings().data_dir)).expanduser()
    if "font_path" in values:
        values["font_path"] = folder / values["font_path"].expanduser()
        if not values["font_path"].is_file():
            mend = "Name a .ttf or .otf file, or unset it"
            faults.append(Fault("FONT_PATH", f"there is no file {values['font_path']}", mend))
    if "media_url" not in values:
        values["media_url"] = str(values["data_dir"] / "media")
    elif "://" not in values["media_url"]:
        values["media_url"] = str(folder / Path(values["media_url"]).expanduser())
    if "public_url" in values:
        values["public_url"] = values["public_url"].rstrip("/")
    elif values.get("gateway_port"):
        values["public_url"] = f"http://127.0.0.1:{values['gateway_port']}"
