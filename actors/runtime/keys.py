"""The key that encrypts what is kept secret: where it lies, and how it is changed while everything runs.

The first key encrypts, every key decrypts. The key file is looked at again whenever it has changed, so that running
processes take up a new key at once; each secret is then sealed anew, and the old key goes when nothing needs it.
"""

from __future__ import annotations

import os
import secrets
import stat
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from msgspec import Struct

from actors.runtime.db import COMMAND_TIMEOUT_S, Database, load_queries
from actors.runtime.settings import Settings
from contracts.errors import Reject, Retry

__all__ = [
    "KEY_FILE",
    "Resealed",
    "Secrets",
    "drop_old_keys",
    "open_secrets",
    "put_new_key_first",
    "reseal",
    "settle_s",
]

Q: Final = load_queries(Path(__file__).with_name("tokens.sql"))

KEY_FILE: Final = "secret.key"
WRONG_KEY_DELAY_S: Final = 60.0
SETTLED_S: Final = COMMAND_TIMEOUT_S + 5.0
"""After a change of the key file, no statement that carries something sealed before runs longer than this."""
SEALED: Final = ("accounts", "posts", "oauth_states", "oauth_clients")
"""Tables with an encrypted column; tokens.sql has `sealed_NAME` and `reseal_NAME` for each."""


class Secrets:
    """Encryption of what is kept. file: where the keys lie; it is read again when it has changed."""

    def __init__(self, keys: tuple[str, ...], *, file: Path | None = None) -> None:
        self._file = file
        self._seen = None if file is None else _mark(file)
        self._use(keys)

    def encrypt(self, plain: bytes) -> bytes:
        self._look()
        return self._fernet.encrypt(plain)

    def decrypt(self, sealed: bytes) -> bytes:
        """Raises: Retry if it was encrypted with a key that is not here: a fault of this machine, not of the work."""
        self._look()
        try:
            return self._fernet.decrypt(sealed)
        except InvalidToken as error:
            raise Retry(
                "a stored secret was encrypted with another key: put back the SECRET_KEY "
                f"(or the file {KEY_FILE} in the data folder) that was used before",
                delay_s=WRONG_KEY_DELAY_S,
            ) from error

    def is_current(self, sealed: bytes) -> bool:
        """Whether the first key alone opens it."""
        self._look()
        try:
            self._first.decrypt(sealed)
        except InvalidToken:
            return False
        return True

    def _look(self) -> None:
        if self._file is None:
            return
        with suppress(OSError):  # it is gone: what was read from it goes on
            if (seen := _mark(self._file)) != self._seen:
                self._use(_read_keys(self._file))
                self._seen = seen

    def _use(self, keys: tuple[str, ...]) -> None:
        try:
            fernets = [Fernet(key) for key in keys]
            self._fernet = MultiFernet(fernets)
        except ValueError as error:
            raise Reject(
                "SECRET_KEY is not 32 bytes in URL-safe base64 (several keys: separated by commas)",
                mend=(
                    "Make one with: python -c "
                    "'from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())'"
                ),
            ) from error
        self._first = fernets[0]


class Resealed(Struct, frozen=True, kw_only=True):
    """What a sweep over the database came to. unreadable: tables with the number of secrets that no key opens."""

    changed: int
    unreadable: dict[str, int]


def open_secrets(settings: Settings) -> Secrets:
    """Use SECRET_KEY, else the key file in the data folder, which is made on first use."""
    if settings.secret_key:
        return Secrets(tuple(key.strip() for key in settings.secret_key.split(",") if key.strip()))
    file = settings.data_dir / KEY_FILE
    return Secrets(_keys_of(file), file=file)


async def reseal(db: Database, secrets: Secrets) -> Resealed:
    """Encrypt every stored secret with the first key. What changes meanwhile is left to whoever changes it."""
    changed = 0
    unreadable: dict[str, int] = {}
    for table in SEALED:
        for row in await db.fetch(Q[f"sealed_{table}"]):
            if secrets.is_current(row["sealed"]):
                continue
            try:
                fresh = secrets.encrypt(secrets.decrypt(row["sealed"]))
            except Retry:
                unreadable[table] = unreadable.get(table, 0) + 1
                continue
            changed += bool(await db.fetchval(Q[f"reseal_{table}"], row["key"], row["sealed"], fresh))
    return Resealed(changed=changed, unreadable=unreadable)


def put_new_key_first(file: Path) -> bool:
    """Put a new key in front of the file's. False: a change was begun before and goes on with the key it made."""
    keys = _keys_of(file)
    if len(keys) > 1:
        return False
    _replace(file, (Fernet.generate_key().decode(), *keys))
    return True


def settle_s(file: Path) -> float:
    """Return for how long something may still be stored that was sealed before the file changed, seconds."""
    return max(0.0, SETTLED_S - (time.time() - file.stat().st_mtime))


def drop_old_keys(file: Path) -> None:
    """Keep the first key alone."""
    _replace(file, _keys_of(file)[:1])


def _keys_of(file: Path) -> tuple[str, ...]:
    """Read the keys, or make one. Of processes that start at once one wins and all read the same key."""
    with suppress(FileNotFoundError):
        return _read_keys(file)
    draft = _draft(file, (Fernet.generate_key().decode(),))
    # A link, not a rename: it fails where another process was first, and never replaces a key.
    try:
        with suppress(FileExistsError):
            file.hardlink_to(draft)
    finally:
        draft.unlink()
    return _read_keys(file)


def _replace(file: Path, keys: tuple[str, ...]) -> None:
    draft = _draft(file, keys)
    draft.replace(file)
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _draft(file: Path, keys: tuple[str, ...]) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
    handle = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(handle, "w", encoding="ascii") as out:
        out.write("\n".join(keys))
        out.flush()
        os.fsync(out.fileno())
    return draft


def _read_keys(file: Path) -> tuple[str, ...]:
    if stat.S_IMODE(file.stat().st_mode) & 0o077:
        file.chmod(0o600)
    return tuple(file.read_text(encoding="ascii").split())


def _mark(file: Path) -> tuple[int, int, int]:
    found = file.stat()
    return found.st_ino, found.st_mtime_ns, found.st_size
