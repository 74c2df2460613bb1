"""`ettametta doctor`: what is here, what is missing, what is wrong, and how each is mended."""

from __future__ import annotations

from deploy.doctor.check import Check, State
from deploy.doctor.run import DEADLINE_S, diagnose, exit_code, render

__all__ = ["DEADLINE_S", "Check", "State", "diagnose", "exit_code", "render"]
