from __future__ import annotations

from itertools import combinations

import numpy as np
import numpy.typing as npt
import pytest

from livebatch.widgets.style import PALETTE

Matrix = npt.NDArray[np.float64]

# Machado, Oliveira and Fernandes (2009): what people without one kind of cone see.
VISION = {
    "normal": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
LMS = [
    [0.4122214708, 0.5363325363, 0.0514459929],
    [0.2119034982, 0.6806995451, 0.1073969566],
    [0.0883024619, 0.2817188376, 0.6299787005],
]
OKLAB = [
    [0.2104542553, 0.7936177850, -0.0040720468],
    [1.9779984951, -2.4285922050, 0.4505937099],
    [0.0259040371, 0.7827717662, -0.8086757660],
]


def linear(hex: str) -> Matrix:
    part = np.array([int(hex[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    return np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)


def luminance(hex: str) -> float:
    return float(linear(hex) @ [0.2126, 0.7152, 0.0722])


def contrast(one: str, other: str) -> float:
    low, high = sorted([luminance(one), luminance(other)])
    return (high + 0.05) / (low + 0.05)


def seen(hex: str, vision: str) -> Matrix:
    cones = np.array(LMS) @ np.clip(np.array(VISION[vision]) @ linear(hex), 0, 1)
    return np.array(OKLAB) @ np.cbrt(cones)


@pytest.mark.parametrize("colour", PALETTE)
@pytest.mark.parametrize("ground", ["#ffffff", "#111111"])
def test_every_colour_stands_out_from_the_ground(colour: str, ground: str) -> None:
    assert contrast(colour, ground) >= 3.0


@pytest.mark.parametrize("vision", VISION)
def test_colours_are_told_apart_with_any_vision(vision: str) -> None:
    apart = {
        (one, other): np.linalg.norm(seen(one, vision) - seen(other, vision))
        for one, other in combinations(PALETTE, 2)
    }
    closest = min(apart, key=apart.__getitem__)
    assert apart[closest] >= 0.08, closest
    assert min(apart[pair] for pair in combinations(PALETTE[:4], 2)) >= 0.11
