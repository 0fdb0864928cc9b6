# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""rosbag2 on disk: write, read and describe bags of one or several episodes."""
