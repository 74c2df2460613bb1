"""Secrets at rest and the begin of an authorisation, without servers."""

from __future__ import annotations

import base64
import hashlib
import stat
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest
from cryptography.fernet import Fernet

from actors.platforms.youtube import OAUTH
from actors.runtime.oauth import TokenSet, authorize, missing_scopes
from actors.runtime.settings import Settings
from actors.runtime.tokens import Secrets, open_secrets
from contracts.errors import Reject, Retry

GOOGLE = Settings(google_client_id="client", google_client_secret="word")
CHILD = """
import sys
from pathlib import Path
from actors.runtime.settings import Settings
from actors.runtime.tokens import open_secrets
sys.stdin.readline()
print(open_secrets(Settings(data_dir=Path(sys.argv[1]))).encrypt(b"x").hex())
"""


def test_a_key_is_made_for_its_owner_alone_and_kept(tmp_path: Path) -> None:
    """If this fails, tokens can be read by others on the machine, or are lost at the next start."""
    sealed = open_secrets(Settings(data_dir=tmp_path / "new")).encrypt(b"token")
    file = tmp_path / "new" / "secret.key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert open_secrets(Settings(data_dir=tmp_path / "new")).decrypt(sealed) == b"token"
    assert [path.name for path in file.parent.iterdir()] == ["secret.key"]


def test_a_key_that_others_can_read_is_closed(tmp_path: Path) -> None:
    """If this fails, a key that was copied carelessly stays open to everybody."""
    file = tmp_path / "secret.key"
    file.write_bytes(Fernet.generate_key())
    file.chmod(0o644)
    open_secrets(Settings(data_dir=tmp_path))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_processes_that_start_at_once_use_one_key(tmp_path: Path) -> None:
    """If this fails, actors that start together cannot read each other's tokens."""
    children = [
        subprocess.Popen(
            [sys.executable, "-c", CHILD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    for child in children:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    sealed = [bytes.fromhex(child.communicate(timeout=60)[0]) for child in children]
    ours = open_secrets(Settings(data_dir=tmp_path))
    assert [ours.decrypt(one) for one in sealed] == [b"x"] * 4


def test_the_key_of_the_settings_comes_before_the_file(tmp_path: Path) -> None:
    """If this fails, replicas on several machines cannot share tokens."""
    key = Fernet.generate_key().decode()
    secrets = open_secrets(Settings(data_dir=tmp_path, secret_key=key))
    assert Fernet(key).decrypt(secrets.encrypt(b"token")) == b"token"
    assert list(tmp_path.iterdir()) == []


def test_keys_can_be_changed_without_losing_tokens() -> None:
    """If this fails, changing the key disconnects every account."""
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    sealed = Secrets((old,)).encrypt(b"token")
    both = Secrets((new, old))
    assert both.decrypt(sealed) == b"token"
    assert Secrets((new,)).decrypt(both.encrypt(b"token")) == b"token"


def test_a_wrong_key_is_named_with_its_mend() -> None:
    """If this fails, a person sees InvalidToken and does not know what to do."""
    sealed = Secrets((Fernet.generate_key().decode(),)).encrypt(b"token")
    with pytest.raises(Retry, match="another key"):
        Secrets((Fernet.generate_key().decode(),)).decrypt(sealed)


@pytest.mark.parametrize("key", ["short", "ü" * 44, ""])
def test_a_key_that_is_none_is_refused_with_a_way_to_make_one(key: str) -> None:
    """If this fails, a bad SECRET_KEY shows up as a crash deep in a library."""
    with pytest.raises(Reject, match="generate_key"):
        Secrets((key,))


def test_tokens_are_not_in_a_repr() -> None:
    """If this fails, tokens end up in logs and traces."""
    tokens = TokenSet(access_token="ya29.secret", refresh_token="1//secret", expires_at=datetime.now(UTC))
    assert "secret" not in repr(tokens)
    assert "secret" not in f"{tokens}"


def test_an_authorisation_has_state_pkce_and_offline_access() -> None:
    """If this fails, connecting an account is open to forgery, or the permission ends after an hour."""
    begun = authorize(OAUTH, GOOGLE, redirect_uri="http://127.0.0.1:8400/oauth/google/callback")
    asked = {name: values[0] for name, values in parse_qs(urlsplit(begun.url).query).items()}
    challenge = base64.urlsafe_b64encode(hashlib.sha256(begun.verifier.encode()).digest()).rstrip(b"=").decode()
    assert begun.url.startswith("https://accounts.google.com/o/oauth2/v2/auth?")
    assert asked["state"] == begun.state
    assert (asked["code_challenge"], asked["code_challenge_method"]) == (challenge, "S256")
    assert (asked["access_type"], asked["prompt"], asked["response_type"]) == ("offline", "consent", "code")
    assert asked["redirect_uri"] == "http://127.0.0.1:8400/oauth/google/callback"
    assert asked["scope"].split() == list(OAUTH.scopes)
    assert 43 <= len(begun.verifier) <= 128
    assert "word" not in begun.url


def test_two_authorisations_share_nothing() -> None:
    """If this fails, one person's callback completes another's authorisation."""
    one, two = (authorize(OAUTH, GOOGLE, redirect_uri="http://127.0.0.1/") for _ in range(2))
    assert one.state != two.state
    assert one.verifier != two.verifier


def test_missing_credentials_are_named() -> None:
    """If this fails, a person is sent to Google with an empty client id."""
    with pytest.raises(Reject, match="GOOGLE_CLIENT_ID"):
        authorize(OAUTH, Settings(), redirect_uri="http://127.0.0.1/")


def test_a_permission_that_was_unticked_is_noticed() -> None:
    """If this fails, an account without the upload permission counts as connected."""
    client = msgspec.structs.replace(OAUTH, scopes=("upload", "read", "money"), optional_scopes=("money",))
    tokens = TokenSet(access_token="a", refresh_token="r", expires_at=datetime.now(UTC), scopes=("read", "openid"))
    assert missing_scopes(client, tokens) == ("upload",)
