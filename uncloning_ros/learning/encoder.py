# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An encoder of one camera: from a picture to numbers that tell where things are in it.

Convolutions make maps, which are read in two ways. Of most of them a softmax over the places
gives the expected place and how strongly the map answers (Levine et al. 2016, End-to-End
Training of Deep Visuomotor Policies, arXiv 1504.00702). A few are read place by place, which is
worth more than maps of twice the resolution. The first convolution, of stride 4, keeps a step
cheap on a processor.
"""

import math

import torch
from torch import Tensor, nn

from uncloning_ros.contract import Signal
from uncloning_ros.errors import ContractError

FEATURES = 64

_NEAR, _MIDDLE, _WIDE = 32, 48, 64  # channels of the three convolutions
_FOUND_MAPS, _READ_MAPS = 64, 16  # read by a softmax, and place by place
_GROUPS = 8  # of channels that are normalised together
_LEAST_PX = 16  # side of a picture


class Encoder(nn.Module):
    """Turn pictures (B, height, width, channels) uint8 into features (B, `FEATURES`).

    `shape` is (height, width, channels).
    """

    grid: Tensor
    ones: Tensor

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        height, width, channels = shape
        fine = height // 4, width // 4
        coarse = (fine[0] + 1) // 2, (fine[1] + 1) // 2
        places = math.prod(coarse)
        self.near = _convolution(channels, _NEAR, 8, 4, 2, fine)
        self.middle = _convolution(_NEAR, _MIDDLE, 3, 2, 1, coarse)
        self.wide = _convolution(_MIDDLE, _WIDE, 3, 1, 1, coarse)
        self.found_maps = nn.Conv2d(_WIDE, _FOUND_MAPS, 1)
        self.read_maps = nn.Sequential(nn.Conv2d(_WIDE, _READ_MAPS, 1), nn.SiLU())
        self.features = nn.Sequential(
            nn.Linear(3 * _FOUND_MAPS + _READ_MAPS * places, FEATURES), nn.LayerNorm(FEATURES))
        self._flat = (-1, _FOUND_MAPS, places)
        self.register_buffer('grid', _grid(*coarse), persistent=False)
        self.register_buffer('ones', torch.ones(places, 1), persistent=False)

    def forward(self, pictures: Tensor) -> Tensor:
        """Return features (B, `FEATURES`) of pictures (B, height, width, channels)."""
        return self.read(self.wide(self.middle(self.near(
            pictures.permute(0, 3, 1, 2).float() / 127.5 - 1.0))))

    def read(self, wide: Tensor) -> Tensor:
        """Return features (B, `FEATURES`) of maps (B, channels, height, width)."""
        maps = self.found_maps(wide).reshape(self._flat)
        share = maps.softmax(2)
        found = torch.cat([share @ self.grid, (share * maps) @ self.ones], 2)
        features: Tensor = self.features(torch.cat([found.flatten(1),
                                                    self.read_maps(wide).flatten(1)], 1))
        return features


def require_encodable(camera: Signal) -> None:
    """Raise `ContractError` for pictures that are too small for the encoder."""
    if min(camera.width, camera.height) < _LEAST_PX:
        raise ContractError(f'{camera.key}: expected pictures of at least {_LEAST_PX} px a side, '
                            f'got {camera.width} x {camera.height}; change width and height in '
                            f'the contract')


class _GroupNorm(nn.GroupNorm):
    """Normalise groups of maps; exported with operators that any policy's graph has."""

    def __init__(self, maps: int, height: int, width: int) -> None:
        super().__init__(_GROUPS, maps)
        self._grouped = (-1, _GROUPS, maps // _GROUPS * height * width)
        self._maps = (-1, maps, height, width)

    def forward(self, maps: Tensor) -> Tensor:
        """Return normalised maps (B, maps, height, width)."""
        if not torch.onnx.is_in_onnx_export():
            return super().forward(maps)
        grouped = nn.functional.layer_norm(maps.reshape(self._grouped), self._grouped[2:],
                                           eps=self.eps)
        return (grouped.reshape(self._maps) * self.weight[:, None, None]
                + self.bias[:, None, None])


def _convolution(channels: int, maps: int, size: int, stride: int, padding: int,
                 shape: tuple[int, int]) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels, maps, size, stride, padding),
                         _GroupNorm(maps, *shape), nn.SiLU())


def _grid(height: int, width: int) -> Tensor:
    """Return x and y (height * width, 2) in [-1, 1] of the places of a map, row by row."""
    y, x = torch.meshgrid(torch.linspace(-1, 1, height), torch.linspace(-1, 1, width),
                          indexing='ij')
    return torch.stack([x.flatten(), y.flatten()], 1)
