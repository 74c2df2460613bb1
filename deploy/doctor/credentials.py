"""Settings and credentials: what each is for, and what is not possible without it."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from actors import platforms
from actors.runtime.oauth import OAuthClient, SignIn
from actors.runtime.settings import Settings, SettingsInvalid
from contracts.errors import Reject
from deploy.doctor.check import Check, missing, ok, wrong

__all__ = [
    "NOT_USED_YET",
    "check_credentials",
    "check_destination",
    "check_overrides",
    "check_public_url",
    "fault_checks",
]

LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})

NOT_USED_YET: Final[dict[str, tuple[str, ...]]] = {
    "ElevenLabs": ("elevenlabs_api_key",),
}
"""Credentials that are read and checked, and that no actor of this version uses."""


def fault_checks(error: SettingsInvalid) -> tuple[Check, ...]:
    """Return each fault of the settings as a finding; nothing runs before they are mended."""
    return tuple(wrong(fault.name, fault.problem, fault.mend, stops_work=True) for fault in error.faults)


def check_credentials(settings: Settings) -> tuple[Check, ...]:
    """Look at the credentials of every platform that is posted to, and of every service."""
    found = []
    for name in platforms.names():
        module = platforms.module(name)
        client = getattr(module, "OAUTH", None)
        if isinstance(client, OAuthClient):
            found.append(_platform_credentials(settings, name, client))
        elif isinstance(getattr(module, "SIGN_IN", None), SignIn):
            found.append(ok(name, f"accounts are connected with a form at {settings.public_url}/connect/{name}"))
    found.append(_groq(settings))
    for service, fields in NOT_USED_YET.items():
        if any(getattr(settings, field) for field in fields):
            found.append(ok(service, "credential is set; nothing in this version uses it"))
        else:
            found.append(ok(service, "no credential is set, and nothing in this version needs one"))
    return tuple(found)


def _platform_credentials(settings: Settings, name: str, client: OAuthClient) -> Check:
    uri = f"{settings.public_url}/oauth/{client.name}/callback"
    if client.register_path is not None:
        return ok(name, f"nothing to set: the server of each account is asked, with the redirect URI {uri}")
    fields = (client.client_id_setting, client.client_secret_setting)
    lacking = [field.upper() for field in fields if not settings.option(field)]
    if not lacking:
        return ok(name, f"OAuth client is set; its redirect URI must be {uri}")
    stops_work = settings.destination == name
    where = [need.means for need in platforms.needs_of(name) if need.setting == fields[0]]
    return missing(
        name,
        f"{' and '.join(lacking)} {'is' if len(lacking) == 1 else 'are'} not set: "
        f"no account can be connected, so nothing can be {_done_with(name)} there",
        f"make a web app (OAuth client) with the redirect URI {uri}, and set "
        f"{' and '.join(field.upper() for field in fields)}"
        + "".join(f". {fields[0].upper()}: {means}" for means in where),
        stops_work=stops_work,
        group=None if stops_work or len(lacking) < len(fields) else "accounts",
    )


def _done_with(name: str) -> str:
    caps = platforms.module(name).CAPS
    words = [word for word, able in (("posted", caps.publish), ("measured", caps.measure)) if able]
    return " or ".join(words) or "read in an account's name"


def _groq(settings: Settings) -> Check:
    if settings.groq_api_key:
        return ok("Groq", f"key is set: {settings.groq_model} writes, {settings.groq_transcript_model} transcribes")
    return missing(
        "Groq",
        "GROQ_API_KEY is not set: titles, descriptions and hashtags are the source's own words, and a video that "
        "comes without subtitles or a script has no captions",
        "set GROQ_API_KEY if you want them written and transcribed",
    )


def check_destination(settings: Settings) -> Check:
    """Whether DESTINATION names a platform that can be posted to."""
    if settings.destination is None:
        return missing("DESTINATION", "not set: finished videos are kept here and not posted", "set it to a platform")
    able = [name for name in platforms.names() if platforms.module(name).CAPS.publish]
    mend = f"set it to one of: {', '.join(able)}"
    try:
        caps = platforms.module(settings.destination).CAPS
    except Reject as error:
        return wrong("DESTINATION", error.reason, mend, stops_work=True)
    if not caps.publish:
        return wrong("DESTINATION", f"{settings.destination} cannot be posted to", mend, stops_work=True)
    return ok("DESTINATION", f"{settings.destination}, {settings.privacy}")


def check_overrides(settings: Settings) -> tuple[Check, ...]:
    """Name each platform that is not asked at its real address."""
    return tuple(
        ok(f"{name.upper()}_API_URL", f"{_shown(url)} stands in for the real platform")
        for name, url in sorted(settings.api_urls.items())
    )


def check_public_url(settings: Settings) -> Check:
    """Whether browsers and platforms can come back to the gateway at PUBLIC_URL."""
    parts = urlsplit(settings.public_url)
    host = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    listens = f"the gateway listens on {settings.gateway_host}:{settings.gateway_port}"
    if host in LOOPBACK and settings.gateway_port and port != settings.gateway_port:
        return wrong(
            "PUBLIC_URL",
            f"{settings.public_url} is this machine, but {listens}: the consent page cannot come back",
            f"set PUBLIC_URL=http://{host}:{settings.gateway_port}, or GATEWAY_PORT={port}",
        )
    if host not in LOOPBACK and parts.scheme != "https":
        return wrong(
            "PUBLIC_URL",
            f"{settings.public_url} is not https: Google takes http for this machine's own addresses only",
            "put a proxy with TLS in front of the gateway and set PUBLIC_URL to its https address",
        )
    if host in LOOPBACK and settings.gateway_host not in LOOPBACK:
        return ok("PUBLIC_URL", f"{settings.public_url}; {listens}, yet links work on this machine only")
    return ok("PUBLIC_URL", f"{settings.public_url}; {listens}")


def _shown(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
