# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pictures of a camera: bytes to arrays and back, by one library, live and offline alike.

Decoders of JPEG round differently, so every picture that a policy sees goes through Pillow, and
a model carries the digest of a test picture, which tells when another one decodes otherwise.
"""

import base64
import hashlib
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from uncloning_ros.errors import ContractError, ModelError, counted, shown

if TYPE_CHECKING:
    from PIL import Image

Pixels = NDArray[np.uint8]  # (height, width, channels)
Encoding = Literal['rgb8', 'mono8']

# Channels of each encoding, by the policy and by Pillow.
CHANNELS = {'rgb8': 3, 'mono8': 1}
_MODES = {'rgb8': 'RGB', 'mono8': 'L'}
# Encodings of raw messages: channels in their bytes.
_RAW_CHANNELS = {'rgb8': 3, 'bgr8': 3, 'mono8': 1}
# Other modes of Pillow in words.
_OTHER_MODES = {'CMYK': 'CMYK colours', 'P': 'a palette', 'I;16': 'grey in 16 bits',
                'RGBA': 'colours with transparency', 'LA': 'grey with transparency',
                '1': 'black and white in 1 bit'}
# A picture is blank if this share of its values is at most, or at least, these grey levels: a
# covered lens has noise, and a saturated sensor rests below the top.
_BLANK_SHARE, _BLACK, _WHITE = 0.98, 8, 247
_BEGINNINGS = (b'\xff\xd8', b'\x89PNG')  # of JPEG and PNG
_COMPRESSION = 3  # of PNG: 6 is three times slower and a tenth smaller
_PREVIEW_QUALITY = 75
# The last bytes of whole pictures.
_ENDS = {'JPEG': b'\xff\xd9', 'PNG': b'IEND\xaeB`\x82'}
# Values of a row, and rows, of a raw picture that are looked at (number).
_LOOKED_AT = 24

# A JPEG of 24 x 16 px with colours and edges: decoders differ in all its pixels.
_TEST_JPEG = base64.b64decode(
    '/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAoHBwgHBgoICAgLCgoLDhgQDg0NDh0VFhEYIx8lJCIfIiEmKzcvJik0KSEi'
    'MEExNDk7Pj4+JS5ESUM8SDc9Pjv/2wBDAQoLCw4NDhwQEBw7KCIoOzs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7'
    'Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozv/wAARCAAQABgDASIAAhEBAxEB/8QAFgABAQEAAAAAAAAAAAAAAAAABgAF/8QAJhAA'
    'AQMDAgUFAAAAAAAAAAAAAQACEQMFIQTwEhMxQVFicZGhwf/EABcBAAMBAAAAAAAAAAAAAAAAAAACBAb/xAAkEQACAAQE'
    'BwAAAAAAAAAAAAABAgAEBREDgdHwISIxQVFhsf/aAAwDAQACEQMRAD8AD6azNxIhvnu1aFG2UmuAGZwRESldCzTALQSf'
    'hwWjp7FSkO5LRBkHhEtKJifctdXsMt78QtHrcmuCVxUJfsb+tYMaez9Mexj6O/wqT3T2b0Z7jzveFKJ6kAeJORI+A6xp'
    '5ercnWP/2Q==')


@dataclass(frozen=True)
class View:
    """The part of a camera's pictures that a policy sees, and its size there, in px.

    `camera_size` is (width, height) of the camera's pictures, `crop` the part (left, top, width,
    height) of them, `size` (width, height) that part's size for the policy.
    """

    camera_size: tuple[int, int]
    crop: tuple[int, int, int, int]
    size: tuple[int, int]
    encoding: Encoding


def decode_picture(data: bytes, view: View) -> Pixels:
    """Return the picture (height, width, channels) of a JPEG or PNG as the policy sees it.

    Raise `ContractError` for another size or encoding, damaged data, and a blank picture.
    """
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data), formats=('JPEG', 'PNG')) as image:
            _require_size(image.size, view)
            image.load()
    except ContractError:
        raise
    except Exception as err:  # the library's exceptions have no common base
        if not any(begin.startswith(data[:len(begin)]) for begin in _BEGINNINGS):
            raise ContractError(f'expected a JPEG or PNG, got another format, whose {len(data)} '
                                f'bytes begin with {data[:4].hex(" ")}; set the compression to '
                                f'jpeg or png in the driver') from err
        raise ContractError(f'expected a whole JPEG or PNG, got {counted(len(data), "byte")} '
                            f'that cannot be decoded; check the camera, its driver and the '
                            f'network') from err
    if image.mode not in ('RGB', 'L'):
        grey = ', or for grey' if view.encoding == 'mono8' else ''
        raise ContractError(f'expected pictures in {view.encoding}, got '
                            f'{_OTHER_MODES.get(image.mode, image.mode)}; set the camera to 8 '
                            f'bits for each of red, green and blue{grey}')
    return _seen(image, 'rgb8' if image.mode == 'RGB' else 'mono8', view)


def picture_of_raw(data: NDArray[np.uint8] | memoryview, encoding: str, width: int, height: int,
                   step: int, view: View) -> Pixels:
    """Return the picture (height, width, channels) of a raw image as the policy sees it.

    `step` is the length of a row in bytes. Raise `ContractError` as `decode_picture` does.
    """
    from PIL import Image

    channels = _RAW_CHANNELS.get(encoding)
    if channels is None:
        known = [name for name, number in _RAW_CHANNELS.items()
                 if number >= CHANNELS[view.encoding]]
        raise ContractError(f'expected the encoding {" or ".join(known)}, got {shown(encoding)}; '
                            f'set it in the camera')
    _require_size((width, height), view)
    values = np.frombuffer(data, np.uint8)
    if step < width * channels or values.size != step * height:
        raise ContractError(f'expected {width * channels * height} bytes, {height} rows of '
                            f'{width * channels}, got {values.size} in rows of {step}; check the '
                            f"camera's driver")
    rows = values.reshape(height, step)[:, :width * channels].reshape(height, width, channels)
    if encoding == 'bgr8':
        rows = rows[:, :, ::-1]
    grey = channels == 1
    return _seen(Image.fromarray(np.ascontiguousarray(rows[:, :, 0] if grey else rows)),
                 'mono8' if grey else 'rgb8', view)


def compressed_form(data: bytes, view: View) -> str | None:
    """Return the form of a picture, as 'JPEG RGB', by its header, checksums and end.

    None for one that `decode_picture` may refuse for other reasons than what its pixels show.
    """
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data), formats=('JPEG', 'PNG')) as image:
            name, mode, size = str(image.format), image.mode, image.size
            image.verify()  # of a PNG the checksums
    except Exception:  # noqa: BLE001 - the library's exceptions have no common base
        return None
    modes = ('RGB',) if view.encoding == 'rgb8' else ('RGB', 'L')
    if size != view.camera_size or mode not in modes or name not in _ENDS:
        return None
    if not data.rstrip(b'\0').endswith(_ENDS[name]):
        return None
    return f'{name} {mode}'


def raw_form(data: NDArray[np.uint8] | memoryview, encoding: str, width: int, height: int,
             step: int, view: View) -> str | None:
    """Return the encoding of a raw image by its fields and a few of its values.

    None for one that `picture_of_raw` may refuse.
    """
    channels = _RAW_CHANNELS.get(encoding)
    if channels is None or (width, height) != view.camera_size or (
            channels == 1 and view.encoding == 'rgb8'):
        return None
    values = np.frombuffer(data, np.uint8)
    if step < width * channels or values.size != step * height:
        return None
    left, top, width, height = view.crop
    seen = values.reshape(-1, step)[top:top + height, left * channels:(left + width) * channels]
    # An odd step meets every channel.
    some = seen[::max(1, height // _LOOKED_AT), ::seen.shape[1] // _LOOKED_AT | 1]
    usual = np.count_nonzero((some > _BLACK) & (some < _WHITE))
    return encoding if usual >= some.size / 10 else None


def encode_picture(pixels: Pixels) -> bytes:
    """Return a picture (height, width, channels) as a PNG, which loses nothing."""
    from PIL import Image

    image = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    buffer = io.BytesIO()
    image.save(buffer, 'PNG', compress_level=_COMPRESSION)
    return buffer.getvalue()


def preview(pixels: Pixels) -> bytes:
    """Return a picture (height, width, channels) as a JPEG for people, which loses some of it."""
    from PIL import Image

    buffer = io.BytesIO()
    image = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    image.save(buffer, 'JPEG', quality=_PREVIEW_QUALITY)
    return buffer.getvalue()


def decoder(views: Iterable[View]) -> tuple[str, str]:
    """Return the library that decodes on this machine, with its version, and a sha256.

    That is of the test picture, decoded, cropped and resized in colour, and in grey if a policy
    sees one of the views so.
    """
    import PIL

    encodings = sorted({'rgb8', *(one.encoding for one in views)}, reverse=True)
    pixels = [decode_picture(_TEST_JPEG, View((24, 16), crop, size, encoding)).tobytes()
              for encoding in encodings
              for crop, size in (((0, 0, 24, 16), (24, 16)), ((1, 1, 22, 14), (7, 5)))]
    return f'Pillow {PIL.__version__}', hashlib.sha256(b''.join(pixels)).hexdigest()


def require_decoder(whose: str, expected: Sequence[str], views: Iterable[View]) -> None:
    """Raise `ModelError` unless this machine decodes as the `decoder` that is expected."""
    found = decoder(views)
    if expected[1] != found[1]:
        raise ModelError(f'{whose} needs pictures of {shown(expected[0])}, which decodes the '
                         f'test picture to {shown(expected[1])}; {found[0]} on this machine '
                         f'decodes it to {found[1]}; install {shown(expected[0])}')


def _seen(image: 'Image.Image', encoding: Encoding, view: View) -> Pixels:
    """Return the crop of a picture in the size of the policy."""
    from PIL import Image

    if encoding == 'mono8' and view.encoding == 'rgb8':
        raise ContractError('expected pictures in colour (rgb8), got grey ones (mono8); set the '
                            'encoding in the camera')
    if encoding != view.encoding:
        image = image.convert(_MODES[view.encoding])
    left, top, width, height = view.crop
    box = (left, top, left + width, top + height)
    if (width, height) != view.size:
        image = image.resize(view.size, Image.Resampling.BOX, box)
    elif box != (0, 0, *image.size):
        image = image.crop(box)
    pixels = np.array(image, dtype=np.uint8).reshape(view.size[1], view.size[0], -1)
    _require_content(pixels)
    return pixels


def _require_size(size: tuple[int, int], view: View) -> None:
    if size != view.camera_size:
        expected, got = (f'{width} x {height}' for width, height in (view.camera_size, size))
        raise ContractError(f'expected pictures of {expected} px, got {got} px; set the camera '
                            f'to {expected}, or set camera_size in the contract and train again')


def _require_content(pixels: Pixels) -> None:
    for name, blank in (('black', pixels <= _BLACK), ('saturated', pixels >= _WHITE)):
        share = np.count_nonzero(blank) / pixels.size
        if share >= _BLANK_SHARE:
            raise ContractError(f'expected a picture, got one that is {name} in {share:.0%} of '
                                f'its values, allowed below {_BLANK_SHARE:.0%}; check lens, '
                                f'light and exposure')
