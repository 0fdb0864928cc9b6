# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Demonstrations on disk: episodes as rosbag2, mode labels, datasets."""
