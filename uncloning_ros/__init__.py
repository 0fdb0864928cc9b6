# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Record, clone, unclone, audit and run robot handover policies with ROS 2."""

import os

__version__ = '0.1.0'

# onnxruntime 1.29 and later writes a device id below $HOME and looks up a host as soon as it is
# imported. This package is imported before it, in every process, so that it does neither.
os.environ.setdefault('ORT_DISABLE_TELEMETRY', '1')
