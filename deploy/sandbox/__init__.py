"""Imitated platforms for demos and tests: one loopback server, no account, no network."""

from __future__ import annotations

from deploy.sandbox.server import api_urls, build_app, credentials, running, serve
from deploy.sandbox.settings import SandboxSettings, load_sandbox_settings

__all__ = ["SandboxSettings", "api_urls", "build_app", "credentials", "load_sandbox_settings", "running", "serve"]
