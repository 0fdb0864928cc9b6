# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Unclone unsafe handover modes from a robot policy, gather evidence, and run it on ROS 2."""

__version__ = '0.1.0'
