# Recipes. `just` without a name lists them.

set shell := ["bash", "-euo", "pipefail", "-c"]

# The venv in use, else .venv, else whatever PATH has.
export PATH := env("VIRTUAL_ENV", justfile_directory() / ".venv") / "bin:" + env("PATH")

[private]
default:
    @just --list --unsorted

# Make .venv with everything for development
[group("set up")]
setup:
    python3 -m venv .venv
    .venv/bin/pip install -q -r requirements-dev.txt
    .venv/bin/pip install -q --no-deps -e .

# The whole loop on one file, or on a sample
[group("run")]
demo *arguments:
    ettametta demo {{ arguments }}

# What is missing or wrong on this machine
[group("run")]
doctor *arguments:
    ettametta doctor {{ arguments }}

# Everything that must pass: checks, then all tests; in the order of folders, which puts the long crash tests first
[group("test")]
test *arguments: check
    pytest -n 3 --dist loadfile --no-loadscope-reorder {{ arguments }}

# Tests that need no server
[group("test")]
unit *arguments:
    pytest tests/unit {{ arguments }}

# Tests with real NATS, PostgreSQL, HTTP and crashes
[group("test")]
integration *arguments:
    pytest tests/integration {{ arguments }}

# Lint, format, types, generated files, import directions; changes nothing
[group("test")]
check:
    ruff check .
    ruff format --check .
    mypy
    python -m deploy.schema --check
    python -m deploy.platform_table --check
    python -m deploy.natsconf | diff - nats.conf
    pytest -q tests/unit/test_imports.py

# 100 random kills over 30 items: none lost, none doubled
[group("test")]
soak *arguments:
    python -m benchmarks.soak {{ arguments }}

# Events per second and latency of the bus against raw nats-py; rendering against its floor
[group("test")]
bench:
    python -m benchmarks.bus
    python -m benchmarks.render

# How well ranking foresees growth, on tables of trending videos
[group("test")]
backtest *tables:
    python -m benchmarks.backtest {{ tables }}

# Put code into its form
[group("change")]
format:
    ruff check --fix .
    ruff format .

# Write docs/schema, docs/asyncapi.json, docs/events.md and nats.conf from contracts/
[group("change")]
schema:
    python -m deploy.schema
    python -m deploy.natsconf > nats.conf

# Write the table of docs/platforms.md from what the platforms' files say
[group("change")]
platforms:
    python -m deploy.platform_table --write

# Draw docs/effects.md and its pictures anew
[group("change")]
effects:
    python -m deploy.effects_sheet --docs docs/effects

# Write requirements*.txt from pyproject.toml; `just lock --upgrade` takes newer versions
[group("change")]
lock *arguments:
    uv pip compile {{ lock_options }} {{ arguments }} -o requirements.txt pyproject.toml
    uv pip compile {{ lock_options }} {{ arguments }} -o requirements-dev.txt -c requirements.txt --group dev pyproject.toml

lock_options := "--quiet --universal --python-version 3.11 --fork-strategy fewest --generate-hashes --no-emit-index-url --no-emit-find-links --custom-compile-command 'just lock'"

# Ask pip for a wheel of every dependency on every platform and write docs/dependencies.md
[group("change")]
wheels *arguments:
    python -m deploy.wheels --write {{ arguments }}
