# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What runs on the robot at every tick: inference and the control loop, without ROS."""
