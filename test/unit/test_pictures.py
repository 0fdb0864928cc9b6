# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pictures: decoded alike from every message, cropped, resized, refused with a sentence."""

import io
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image
from rosbags.typesys import Stores, get_typestore

from uncloning_ros.contract import Signal
from uncloning_ros.conversions import decode, encode
from uncloning_ros.errors import ContractError
from uncloning_ros.pictures import Pixels, decoder

STORE = get_typestore(Stores.ROS2_JAZZY)
SEEN = Signal('scene_camera', 'image', 'level', width=32, height=24, encoding='rgb8',
              camera_size=(32, 24))
SMALL = Signal('scene_camera', 'image', 'level', width=8, height=6, encoding='rgb8',
               camera_size=(32, 24), crop=(8, 6, 16, 12))
GREY = Signal('scene_camera', 'image', 'level', width=32, height=24, encoding='mono8',
              camera_size=(32, 24))
PIXELS: Pixels = np.random.default_rng(5).integers(20, 235, (24, 32, 3), dtype=np.uint8)


def compressed(pixels: Pixels, form: str = 'JPEG', size: int | None = None) -> Any:
    """Return a message of a JPEG or PNG, of its first `size` bytes."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, form)
    data = buffer.getvalue()[:size]
    return SimpleNamespace(format=form.lower(), data=np.frombuffer(data, np.uint8),
                           header=SimpleNamespace(stamp=SimpleNamespace(sec=1, nanosec=2)))


def raw(pixels: Pixels, encoding: str, **other: Any) -> Any:
    """Return a message of raw pixels, with some fields of `other`."""
    height, width = pixels.shape[:2]
    fields = {'encoding': encoding, 'width': width, 'height': height,
              'step': pixels[0].size, 'data': pixels.ravel(),
              'header': SimpleNamespace(stamp=SimpleNamespace(sec=1, nanosec=2))}
    return SimpleNamespace(**(fields | other))


def test_one_picture_in_every_encoding_without_loss_is_one_array() -> None:
    for message in (raw(PIXELS, 'rgb8'), raw(PIXELS[:, :, ::-1], 'bgr8'),
                    compressed(PIXELS, 'PNG')):
        np.testing.assert_array_equal(decode(SEEN, message, 9).values, PIXELS)


def test_a_row_may_be_longer_than_its_pixels() -> None:
    padded = np.concatenate([PIXELS.reshape(24, 96), np.full((24, 5), 7, np.uint8)], axis=1)
    message = raw(PIXELS, 'rgb8', step=101, data=padded.ravel())
    np.testing.assert_array_equal(decode(SEEN, message, 9).values, PIXELS)


def test_the_crop_is_cut_out_then_made_smaller_by_means() -> None:
    values = decode(SMALL, raw(PIXELS, 'rgb8'), 9).values
    means = PIXELS[6:18, 8:24].reshape(6, 2, 8, 2, 3).mean(axis=(1, 3))
    assert values.shape == SMALL.shape == (6, 8, 3)
    assert np.abs(values - means).max() <= 1.0


@pytest.mark.parametrize('type_name', ['sensor_msgs/msg/CompressedImage',
                                       'sensor_msgs/msg/Image'])
def test_an_encoded_picture_comes_back_bit_for_bit(type_name: str) -> None:
    for signal in (SEEN, GREY):
        pixels = PIXELS[:, :, :signal.shape[2]]
        message = encode(signal, type_name, pixels, 7, STORE.types.__getitem__)
        sample = decode(signal, message, 9)
        np.testing.assert_array_equal(sample.values, pixels)
        assert (sample.stamp_ns, sample.values.dtype) == (7, np.uint8)


def test_colour_is_made_grey_and_grey_is_no_colour() -> None:
    assert decode(GREY, raw(PIXELS, 'rgb8'), 9).values.shape == (24, 32, 1)
    with pytest.raises(ContractError, match='scene_camera: expected pictures in colour'):
        decode(SEEN, raw(PIXELS[:, :, 0], 'mono8'), 9)


@pytest.mark.parametrize(('message', 'said'), [
    (compressed(PIXELS[:20]), '32 x 24 px, got 32 x 20 px'),
    (raw(PIXELS[:20], 'rgb8'), '32 x 24 px, got 32 x 20 px'),
    # A running policy has its size from its training.
    (raw(PIXELS[:20], 'rgb8'), 'set camera_size in the contract and train again'),
    (compressed(PIXELS, size=900), 'got 900 bytes that cannot be decoded'),
    (compressed(PIXELS, 'PNG', size=900), 'got 900 bytes that cannot be decoded'),
    (compressed(PIXELS, size=0), 'got 0 bytes'),
    (compressed(PIXELS, size=1), 'got 1 byte that cannot'),
    (compressed(PIXELS, 'PNG', size=3), 'got 3 bytes'),
    (compressed(PIXELS, 'GIF'), 'another format'),
    (compressed(PIXELS, 'WEBP'), 'begin with 52 49 46 46'),
    (raw(PIXELS, 'yuv422'), "got 'yuv422'"),
    (raw(PIXELS, 'rgb8', step=95), 'in rows of 95'),
    (raw(PIXELS, 'rgb8', data=PIXELS.ravel()[:-1]), 'got 2303 in rows of 96'),
    (raw(PIXELS // 30, 'rgb8'), 'black in 100%'),
    (compressed(np.full_like(PIXELS, 254)), 'saturated in 100%')])
def test_a_bad_picture_is_refused_with_both_values(message: Any, said: str) -> None:
    with pytest.raises(ContractError, match='^scene_camera: expected') as caught:
        decode(SEEN, message, 9)
    assert said in str(caught.value)


@pytest.mark.parametrize(('mode', 'form', 'said'), [
    ('CMYK', 'JPEG', 'CMYK colours'), ('P', 'PNG', 'a palette'), ('I;16', 'PNG', 'in 16 bits'),
    ('RGBA', 'PNG', 'with transparency'), ('LA', 'PNG', 'with transparency'),
    ('1', 'PNG', 'in 1 bit')])
def test_other_colours_are_named_and_no_remedy_is_one_that_is_refused(mode: str, form: str,
                                                                      said: str) -> None:
    image = Image.fromarray(PIXELS[:, :, 0]).convert('I') if mode == 'I;16' else (
        Image.fromarray(PIXELS))
    buffer = io.BytesIO()
    image.convert(mode).save(buffer, form)
    message = SimpleNamespace(format=form, data=np.frombuffer(buffer.getvalue(), np.uint8))
    for signal, takes_grey in ((SEEN, False), (GREY, True)):
        with pytest.raises(ContractError) as caught:
            decode(signal, message, 9)
        assert said in str(caught.value)
        assert ('or for grey' in str(caught.value)) == takes_grey
        with pytest.raises(ContractError) as caught:
            decode(signal, raw(PIXELS, 'yuv422'), 9)
        assert ('mono8' in str(caught.value)) == takes_grey


def test_a_huge_picture_is_refused_before_it_is_decoded() -> None:
    message = compressed(np.zeros((9000, 9000), np.uint8), 'PNG')
    with pytest.raises(ContractError, match='got 9000 x 9000 px'):
        decode(SEEN, message, 9)


@pytest.mark.parametrize(('encoding', 'digest'), [
    ('rgb8', 'f653af5180282acbba8a6e2a2a2ea37399aab9cc3fd67255ff2760e963ef8168'),
    ('mono8', '00d0ed2689276478dea8a9c213393b96c32cbfebf1ee1466a8198da1c433156f')])
def test_the_digest_of_the_decoder_is_that_of_this_library(encoding: str, digest: str) -> None:
    # Another Pillow may decode otherwise; then the pin in setup.py and models are to be changed.
    view = replace(SEEN, encoding=encoding).as_read().view
    assert decoder([view, SEEN.view])[1] == digest


def test_a_policy_does_not_see_more_than_the_camera() -> None:
    seen = Signal('scene_camera', 'image', 'level', width=24, height=24, encoding='rgb8',
                  camera_size=(640, 480), crop=(80, 0, 24, 480))
    assert seen.as_read() is seen
    with pytest.raises(ContractError, match='24 x 480 px, got 25 x 24'):
        replace(seen, width=25).as_read()
