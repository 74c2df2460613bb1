"""Which platforms can be watched with what is set on this machine."""

from __future__ import annotations

from actors import platforms
from actors.runtime.oauth import OAuthClient
from actors.runtime.settings import Settings, unread_names
from actors.tracker.revenue import shopify
from deploy.doctor.check import Check, missing, ok, wrong
from deploy.platform_table import row_of

__all__ = ["check_discovery", "check_names"]


def check_discovery(settings: Settings) -> tuple[Check, ...]:
    """Say of every platform what it finds, or what it lacks."""
    return tuple(_discovery(name, settings) for name in platforms.names())


def _discovery(name: str, settings: Settings) -> Check:
    row, label = row_of(name), f"watch {name}"
    if row.finds == "nothing":
        return missing(label, row.cannot, group="closed")
    lacking = platforms.lacking(name, settings)
    if lacking:
        names = " and ".join(need.setting.upper() for need in lacking)
        verb = "is" if len(lacking) == 1 else "are"
        mend = "; ".join(f"{need.setting.upper()}: {need.means}" for need in lacking)
        begun = any(settings.option(need.setting) for need in platforms.needs_of(name))
        return missing(label, f"{names} {verb} not set: it is not asked", mend, group=None if begun else "watching")
    limits = f"; {row.cannot}" if row.cannot else ""
    return ok(label, f"finds {row.finds}, asked {row.asked}: {row.sees} ({row.costs}){limits}")


def check_names() -> tuple[Check, ...]:
    """Name what is written in .env and that nothing reads: most often a typing error."""
    declared = {need.setting for name in platforms.names() for need in platforms.needs_of(name)}
    declared |= {need.setting for need in shopify.NEEDS}
    modules = [platforms.module(name) for name in platforms.names()]
    clients = [client for one in modules if isinstance(client := getattr(one, "OAUTH", None), OAuthClient)]
    declared |= {setting for client in clients for setting in (client.client_id_setting, client.client_secret_setting)}
    return tuple(
        wrong(name, "is set in .env, and nothing reads it", f"did you mean {close}?" if close else "remove that line")
        for name, close in unread_names(declared)
    )
