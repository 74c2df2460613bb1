"""A few small items, made here at need, with licences that a ranker must tell apart."""

from __future__ import annotations

import asyncio
from typing import Any

from deploy.sandbox.context import Sandbox
from deploy.sandbox.internet_archive import InternetArchive
from deploy.sandbox.media import make_clip
from deploy.sandbox.wikimedia_commons import WikimediaCommons

__all__ = ["seed_samples"]

_CC = "https://creativecommons.org"
_SUBJECTS = ["deep sea", "ocean", "colour study"]

_ITEMS: tuple[tuple[str, str, str | None, int, float], ...] = (
    # identifier, title, licence, downloads, downloads per day
    ("sandbox-deep-sea-lights", "Lights of the deep sea", f"{_CC}/licenses/by/4.0/", 4210, 380.0),
    ("sandbox-ocean-swell", "Ocean swell, a colour study", f"{_CC}/publicdomain/zero/1.0/", 1875, 120.0),
    ("sandbox-reef-for-schools", "Reef for schools", f"{_CC}/licenses/by-nc/4.0/", 9120, 640.0),
    ("sandbox-deep-dive-uncut", "Deep dive, uncut", f"{_CC}/licenses/by-nd/4.0/", 15300, 910.0),
    ("sandbox-found-sea-footage", "Found sea footage", None, 22800, 1500.0),
)
_FILES: tuple[tuple[str, dict[str, str]], ...] = (
    (
        "Sandbox deep sea bands.webm",
        {
            "LicenseShortName": "CC BY-SA 4.0",
            "License": "cc-by-sa-4.0",
            "LicenseUrl": f"{_CC}/licenses/by-sa/4.0",
            "UsageTerms": "Creative Commons Attribution-Share Alike 4.0",
            "AttributionRequired": "true",
            "Copyrighted": "True",
            "Restrictions": "",
        },
    ),
    (
        "Sandbox ocean tone.webm",
        {
            "LicenseShortName": "CC0",
            "License": "cc0",
            "LicenseUrl": f"{_CC}/publicdomain/zero/1.0/deed.en",
            "UsageTerms": "Creative Commons Zero, Public Domain Dedication",
            "AttributionRequired": "false",
            "Copyrighted": "True",
            "Restrictions": "",
        },
    ),
)


async def seed_samples(sandbox: Sandbox, archive: InternetArchive, commons: WikimediaCommons) -> list[str]:
    """List the samples and return their names. Doing it again changes nothing."""
    folder = sandbox.folder / "samples"
    await asyncio.to_thread(folder.mkdir, exist_ok=True)
    listed = []
    for seed, (identifier, title, licence, downloads, per_day) in enumerate(_ITEMS):
        clip = folder / f"{identifier}.mp4"
        if not await asyncio.to_thread(clip.exists):
            await asyncio.to_thread(make_clip, clip, seconds=5.0, width_px=480, height_px=270, seed=seed)
        metadata: dict[str, Any] = {
            "title": title,
            "creator": f"Sandbox author {seed + 1}",
            "description": f"<p>{title}: moving bands of colour, made by the sandbox.</p>",
            "subject": _SUBJECTS,
            "licenseurl": licence,
            "date": "2026",
            "runtime": "0:05",
        }
        await archive.list_item(
            identifier, metadata, clip, name=clip.name, downloads=downloads, downloads_per_day=per_day
        )
        listed.append(identifier)
    for seed, (title, licence_words) in enumerate(_FILES):
        clip = folder / title.replace(" ", "_")
        if not await asyncio.to_thread(clip.exists):
            await asyncio.to_thread(make_clip, clip, seconds=4.0, seed=seed + 10)
        words = {
            **licence_words,
            "Artist": f'<a href="/wiki/User:Sandbox">Sandbox author {seed + 6}</a>',
            "Credit": '<span class="int-own-work" lang="en">Own work</span>',
            "ImageDescription": "Moving bands of colour over a deep sea tone, made by the sandbox.",
        }
        page = await commons.list_file(title, clip, words, categories=("Ocean", "Test patterns"))
        listed.append(page.title)
    return listed
