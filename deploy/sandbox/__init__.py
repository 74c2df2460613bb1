"""Imitated platforms for demos and tests: one loopback server, no account, no network."""

from __future__ import annotations

from deploy.sandbox.server import API_URL_NAMES, build_app, running, serve
from deploy.sandbox.settings import SandboxSettings, load_sandbox_settings

__all__ = ["API_URL_NAMES", "SandboxSettings", "build_app", "load_sandbox_settings", "running", "serve"]
