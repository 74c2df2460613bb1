"""What this machine brings: Python, fonts, codecs, speech, disk. Nothing here needs a service.

Packages are imported inside the checks, so that one that is broken is a finding and not a crash.
"""

from __future__ import annotations

import os
import platform
import shutil
import stat
import tempfile
from collections.abc import Callable
from datetime import UTC, date, datetime
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Final, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from actors.runtime.extras import install
from actors.runtime.settings import Settings
from contracts.errors import EttamettaError, Reject
from deploy.doctor.check import Check, missing, ok, wrong

__all__ = [
    "check_codecs",
    "check_data_dir",
    "check_font",
    "check_fonts",
    "check_python",
    "check_secret_key",
    "check_speech",
    "check_telemetry",
    "check_time_zones",
    "check_ytdlp",
]

ENCODERS: Final = ("libx264", "aac")
DECODERS: Final = (
    "h264", "hevc", "vp8", "vp9", "libdav1d", "mpeg4", "mpeg2video", "mjpeg", "prores", "theora",
    "aac", "mp3", "opus", "vorbis", "flac", "ac3", "pcm_s16le",
)  # fmt: skip
"""What common media need. AV1 by dav1d: FFmpeg's own `av1` decodes on a GPU only."""

NEEDED_BYTES: Final = 1 << 30
ADVISED_BYTES: Final = 10 << 30
YTDLP_OLD_DAYS: Final = 120
REINSTALL: Final = "pip install --force-reinstall {}"
CJK: Final = frozenset({"Chinese", "Japanese", "Korean"})


def check_python() -> Check:
    """Name the interpreter and the machine."""
    return ok("python", f"{platform.python_version()} on {platform.system()} {platform.machine()}")


def check_font(settings: Settings) -> Check:
    """Whether captions have a font."""
    from actors.renderer.text import fonts

    try:
        font = fonts.find(settings.font_path)
    except Reject as error:
        return wrong("font", f"{error.reason}: no captions", error.mend, stops_work=True)
    return ok("font", f"{Path(font.path).name}, from {font.origin}")


def check_fonts(settings: Settings) -> tuple[Check, ...]:
    """Which scripts captions can be written in. Nothing is said where there is no font at all, see check_font."""
    from actors.renderer.text import fonts

    try:
        found = fonts.by_script(settings.font_path)
    except Reject:
        return ()
    have = ", ".join(name for name, font in found.items() if font is not None)
    lack = [name for name, font in found.items() if font is None]
    if not lack:
        return (ok("fonts", have),)
    mends = dict.fromkeys(_font_mend(name) for name in lack)
    return (missing("fonts", f"{have}; missing: {', '.join(lack)}", "; ".join(mends)),)


def _font_mend(script: str) -> str:
    if script in CJK:
        return f"{install('fonts')} for Chinese, Japanese and Korean"
    if script == "emoji in colour":
        return "install a colour emoji font"
    return "install a font with the others, or set FONT_PATH to one"


def check_codecs() -> Check:
    """Whether FFmpeg, as PyAV brings it, has what is rendered to and what media come in."""
    import av
    from av.codec import Codec
    from av.codec.codec import UnknownCodecError

    def lacks(name: str, mode: Literal["r", "w"]) -> bool:
        try:
            Codec(name, mode)
        except UnknownCodecError:
            return True
        return False

    encoders = [name for name in ENCODERS if lacks(name, "w")]
    decoders = [name for name in DECODERS if lacks(name, "r")]
    mend = REINSTALL.format("av")
    if encoders:
        return wrong("codecs", f"no encoder {', '.join(encoders)}: nothing can be rendered", mend, stops_work=True)
    if decoders:
        return wrong("codecs", f"no decoder {', '.join(decoders)}: such media are rejected", mend)
    return ok("codecs", f"FFmpeg {av.ffmpeg_version_info} (PyAV {av.__version__}): H.264 and AAC; all common decoders")


def check_speech() -> tuple[Check, ...]:
    """Whether scripts can be spoken and words found in speech."""
    return (
        _importable("narration", "hibari", "hibari-tts", "scripts cannot be spoken"),
        _importable("alignment", "pocketsphinx", "pocketsphinx", "the words of a script cannot be found in speech"),
    )


def _importable(name: str, module: str, package: str, lost: str) -> Check:
    if find_spec(module) is None:
        # The default install leaves pocketsphinx out where it has no wheel: Python 3.12 on Linux aarch64.
        return missing(name, f"{package} is not installed: {lost}", f"pip install {package}, or use another Python")
    try:
        import_module(module)
    except (ImportError, OSError) as error:
        return wrong(name, f"{package} cannot be loaded ({error}): {lost}", REINSTALL.format(package))
    return ok(name, f"{package} {version(package)}")


def check_ytdlp(today: date | None = None) -> Check:
    """Whether videos can be fetched from web pages. Its versions are dates; sites change within months."""
    if find_spec("yt_dlp") is None:
        return missing("yt-dlp", "not installed: web pages cannot be imported", "pip install yt-dlp")
    text = version("yt-dlp")
    year, month, day, *_ = (int(part) for part in text.split("."))
    age_days = ((today or datetime.now(UTC).date()) - date(year, month, day)).days
    if age_days > YTDLP_OLD_DAYS:
        return wrong("yt-dlp", f"{text} is {age_days} days old: some sites will not work", "pip install -U yt-dlp")
    return ok("yt-dlp", text)


def check_time_zones() -> Check:
    """Whether times can be planned in a person's own zone."""
    try:
        ZoneInfo("Pacific/Auckland")
    except ZoneInfoNotFoundError:
        return wrong("time zones", "there is no time zone database", "pip install tzdata", stops_work=True)
    return ok("time zones", "found")


def check_telemetry(settings: Settings, *, asked: bool | None = None) -> Check:
    """Whether metrics and traces that are asked for can be had."""
    names = ("METRICS_PORT", "OTEL_EXPORTER_OTLP_ENDPOINT")
    wanted = settings.metrics or any(os.environ.get(name) for name in names) if asked is None else asked
    have = all(_found(module) for module in ("opentelemetry.sdk", "prometheus_client"))
    if not wanted:
        return ok("telemetry", f"off; the extra is {'installed' if have else 'not installed'}")
    if not have:
        mend = f"{install('telemetry')}, or unset METRICS, METRICS_PORT and OTEL_EXPORTER_OTLP_ENDPOINT"
        return missing("telemetry", "asked for, and the extra is not installed", mend, stops_work=True)
    return ok("telemetry", "on")


def _found(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def check_data_dir(settings: Settings, *, free_bytes: Callable[[Path], int] | None = None) -> Check:
    """Whether DATA_DIR can be written and has room."""
    folder = settings.data_dir
    parent = next(path for path in (folder, *folder.parents) if path.exists())
    if not parent.is_dir() or not writable(parent):
        mend = f"let this user write {parent}, or set DATA_DIR to another folder"
        return wrong("DATA_DIR", f"{folder} cannot be written", mend, stops_work=True)
    free = (free_bytes or _free_bytes)(parent)
    room = f"{folder}{'' if folder.exists() else ' (made on first use)'}, {free / (1 << 30):.1f} GiB free"
    mend = "free some disk space, or set DATA_DIR and MEDIA_URL to another disk"
    if free < NEEDED_BYTES:
        return wrong("DATA_DIR", f"{room}: too little for a video", mend, stops_work=True)
    if free < ADVISED_BYTES:
        return wrong("DATA_DIR", f"{room}: little for videos", mend)
    return ok("DATA_DIR", room)


def _free_bytes(folder: Path) -> int:
    return shutil.disk_usage(folder).free


def writable(folder: Path) -> bool:
    """Whether a file can be made there: permission bits alone do not tell of read-only disks."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def check_secret_key(settings: Settings) -> Check:
    """Whether tokens can be encrypted, and whether others can read the key."""
    from actors.runtime.tokens import KEY_FILE, Secrets

    file = settings.data_dir / KEY_FILE
    if settings.secret_key:
        keys, where = tuple(key.strip() for key in settings.secret_key.split(",")), "SECRET_KEY is set"
    elif file.exists():
        mode = stat.S_IMODE(file.stat().st_mode)
        if mode & 0o077:
            return wrong("secret key", f"{file} can be read by others (mode {mode:o})", f"chmod 600 {file}")
        keys, where = (file.read_text(encoding="ascii", errors="replace").strip(),), str(file)
    else:
        return ok("secret key", "made in DATA_DIR on first use")
    try:
        Secrets(keys).decrypt(Secrets(keys).encrypt(b"probe"))
    except EttamettaError as error:
        reason, mend = (error.reason, error.mend) if isinstance(error, Reject) else (str(error), "")
        return wrong(
            "secret key", f"{where}: {reason}", mend or "put back the key that was used before", stops_work=True
        )
    return ok("secret key", where)
