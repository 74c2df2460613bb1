"""Coverage masks: outlines, soft shadows, boxes with round corners."""

from __future__ import annotations

import math
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from actors.renderer.text.stamps import Mask

__all__ = ["SAMPLES", "outline", "rounded", "shadow", "unit"]

SAMPLES: Final = 2
"""Samples a pixel along each side from which distances are measured."""


def unit(coverage: NDArray[np.uint8]) -> Mask:
    """Return 0..255 as 0..1."""
    return coverage.astype(np.float32) * np.float32(1 / 255)


def outline(fine: NDArray[np.uint8], reach_px: float) -> Mask:
    """Return all that lies within `reach_px` of a shape, smooth at its edge and with round corners.

    Args: fine: coverage at twice the size, 0..255, (2 * height, 2 * width).
    """
    apart = cv2.distanceTransform((fine < 128).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    # A sample next to the shape lies half a sample outside it.
    near = np.clip(np.float32(reach_px + 0.5) - (apart - np.float32(0.5)) / SAMPLES, 0, 1)
    height, width = fine.shape[0] // SAMPLES, fine.shape[1] // SAMPLES
    return np.asarray(cv2.resize(near, (width, height), interpolation=cv2.INTER_AREA), np.float32)


def shadow(shape: Mask, reach_px: float) -> Mask:
    """Return a soft shadow a third of its reach below a shape."""
    sigma_px = reach_px / 3
    soft = cv2.GaussianBlur(shape, (0, 0), sigma_px, borderType=cv2.BORDER_CONSTANT)
    down = math.ceil(sigma_px)
    moved = np.zeros_like(shape)
    moved[down:] = soft[: soft.shape[0] - down]
    return moved


def rounded(size: tuple[int, int], box: tuple[float, float, float, float], radius_px: float) -> Mask:
    """Return a box (left, top, right, bottom) with round corners in a mask of `size` (width, height).

    Source: I. Quilez, "2D distance functions" (rounded box), read 2026-11-23.
    """
    width, height = size
    left, top, right, bottom = box
    radius = min(radius_px, (right - left) / 2, (bottom - top) / 2)
    x = np.abs(np.arange(width, dtype=np.float32) + 0.5 - (left + right) / 2) - ((right - left) / 2 - radius)
    y = np.abs(np.arange(height, dtype=np.float32) + 0.5 - (top + bottom) / 2) - ((bottom - top) / 2 - radius)
    outside = np.hypot(np.maximum(x, 0)[None, :], np.maximum(y, 0)[:, None])
    inside = np.minimum(np.maximum(x[None, :], y[:, None]), 0)
    found: Mask = np.clip(np.float32(0.5 + radius) - (outside + inside), 0, 1).astype(np.float32)
    return found
