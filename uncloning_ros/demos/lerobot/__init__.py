# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Read and write LeRobotDataset v3 as a file format, without the package of LeRobot."""
