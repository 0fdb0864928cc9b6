# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pictures of a LeRobot set: H.264 files, one for each episode and camera, and files of others."""

import math
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from uncloning_ros.errors import DatasetError
from uncloning_ros.pictures import Pixels

# Quality of x264 (lower is better), and pictures from one whole one to the next, as LeRobot has.
_CRF, _GOP = '12', '2'
CODEC = 'h264'


def write_video(path: Path, pictures: Pixels, fps: int) -> float:
    """Write pictures (T, height, width, channels) and return their least PSNR (dB) in the file.

    Colours have half the resolution where the sides are even, as players expect it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), 'w', format='mp4') as container:
        stream = container.add_stream('libx264', rate=fps, options={'crf': _CRF, 'g': _GOP})
        stream.height, stream.width = pictures.shape[1:3]
        stream.pix_fmt = pixel_format(pictures)
        stream.time_base = Fraction(1, fps)
        for i, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(in_colour(picture), 'rgb24')
            frame.pts = i
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    shown = read_video(path, 0.0, len(pictures), fps)
    return min(psnr_db(in_colour(one), two) for one, two in zip(pictures, shown, strict=True))


def pixel_format(pictures: Pixels) -> str:
    """Return the pixel format of a file of pictures (T, height, width, channels)."""
    return 'yuv444p' if pictures.shape[1] % 2 or pictures.shape[2] % 2 else 'yuv420p'


def in_colour(picture: Pixels) -> Pixels:
    """Return a picture with three channels; those of a grey one are equal."""
    return np.ascontiguousarray(np.broadcast_to(picture, (*picture.shape[:2], 3)))


def psnr_db(one: Pixels, two: Pixels) -> float:
    """Return the peak signal-to-noise ratio (dB) of two pictures, infinite for equal ones."""
    error = float(np.square(one.astype(np.float64) - two).mean())
    return math.inf if error == 0.0 else 10.0 * math.log10(255.0 ** 2 / error)


def read_video(path: Path, from_s: float, count: int, fps: int) -> Iterator[Pixels]:
    """Give the `count` pictures (height, width, 3) of a file that begin at `from_s`.

    Raise `DatasetError` for a file that cannot be read or has fewer.
    """
    given = 0
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            if from_s > 0 and stream.time_base is not None:
                container.seek(int(from_s / stream.time_base), stream=stream)
            for frame in container.decode(stream):
                if frame.time is None or frame.time < from_s + (given - 0.5) / fps:
                    continue
                if frame.time > from_s + (given + 0.5) / fps:
                    break
                yield frame.to_ndarray(format='rgb24')
                given += 1
                if given == count:
                    return
    except (OSError, IndexError, ValueError, av.FFmpegError) as err:
        raise DatasetError(f'cannot read {path}: {err}; copy it again') from err
    raise DatasetError(f'{path}: expected {count} pictures from {from_s:g} s on at {fps} a '
                       f'second, got {given}; the set is damaged')

