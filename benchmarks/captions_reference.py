"""Compare lines of captions in every script with a browser's, at the same size and in the same fonts.

    python benchmarks/captions_reference.py [--browser chromium] [--write]

Prints how alike they are; --write stores the browser's pictures, which the tests compare with.
"""

from __future__ import annotations

import argparse
import html
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[1]))

from actors.renderer.text.glyphs import WEIGHT
from actors.renderer.text.linebreak import reads_right_to_left
from tests.caption_samples import FOLDER, HEIGHT_PX, MARGIN_PX, SAMPLES, SIZE_PX, drawn, fonts_used, likeness

WIDTH_PX = 900
BROWSERS = ("chromium", "google-chrome", "chrome")
DEADLINE_S = 60.0
ATTEMPTS = 5


def page() -> str:
    """Return the page: one line per sample, white on black."""
    fonts = fonts_used()
    faces = "".join(
        f"@font-face {{ font-family: f{at}; src: url('{Path(font.path).as_uri()}'); font-weight: 100 900; }}\n"
        for at, font in enumerate(fonts)
    )
    family = ", ".join(f"f{at}" for at in range(len(fonts)))
    style = (
        f"{faces} body {{ margin: 0; background: #000; color: #fff; }} div {{ position: absolute; left: {MARGIN_PX}px;"
        f" white-space: pre; font: {WEIGHT} {SIZE_PX}px/{HEIGHT_PX}px {family}; font-variation-settings: 'opsz' 32;"
        f" -webkit-font-smoothing: antialiased; }}"
    )
    lines = "".join(
        f"<div dir='{'rtl' if reads_right_to_left(text) else 'ltr'}' style='top: {at * HEIGHT_PX}px'>"
        f"{html.escape(text)}</div>"
        for at, text in enumerate(SAMPLES.values())
    )
    return f"<!doctype html><meta charset='utf-8'><style>{style}</style>{lines}"


def shot(browser: str, size: tuple[int, int]) -> NDArray[np.uint8] | None:
    """Return the browser's picture of the page, grey levels; None: it gave none."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        source, picture = Path(folder, "page.html"), Path(folder, "shot.png")
        source.write_text(page(), encoding="utf-8")
        command = [
            *(browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--timeout=4000"),
            *("--disable-lcd-text", "--font-render-hinting=none", "--force-color-profile=srgb"),
            *(f"--user-data-dir={folder}/profile", "--allow-file-access-from-files", f"--screenshot={picture}"),
            *("--force-device-scale-factor=1", f"--window-size={size[0]},{size[1]}", source.as_uri()),
        ]
        subprocess.run(command, check=True, capture_output=True, timeout=DEADLINE_S)
        whole = cv2.imread(str(picture), cv2.IMREAD_GRAYSCALE)
    return None if whole is None else np.asarray(whole, np.uint8)


def pictured(browser: str) -> dict[str, NDArray[np.uint8]]:
    """Return the browser's picture of each sample, grey levels."""
    size = WIDTH_PX, HEIGHT_PX * len(SAMPLES)
    for _ in range(ATTEMPTS):
        whole = shot(browser, size)
        if whole is not None and whole.shape == size[::-1] and whole[-HEIGHT_PX:].any():
            break
    else:
        sys.exit(f"{browser} gave no whole picture of the page; is the machine busy?")
    found: dict[str, NDArray[np.uint8]] = {}
    for at, name in enumerate(SAMPLES):
        row = np.asarray(whole[at * HEIGHT_PX : (at + 1) * HEIGHT_PX], np.uint8)
        right = int(np.flatnonzero(row.max(axis=0) > 40).max()) + MARGIN_PX
        found[name] = row[:, :right]
    return found


def main() -> None:
    """Compare, print, and if asked store."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--browser", default=next((name for name in BROWSERS if shutil.which(name)), "chromium"))
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    print(f"{'sample':18} {'overlap':>8} {'moved px':>10} {'longer px':>10}")
    for name, reference in pictured(options.browser).items():
        found = likeness(drawn(SAMPLES[name]), reference)
        print(f"{name:18} {found.overlap:8.3f} {found.shift_px!s:>10} {found.longer_px:10d}")
        if options.write:
            cv2.imwrite(str(FOLDER / f"{name}.png"), reference, [cv2.IMWRITE_PNG_COMPRESSION, 9])


if __name__ == "__main__":
    main()
