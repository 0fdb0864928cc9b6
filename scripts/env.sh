# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
# Source this: ROS 2 where apt installed it, then the virtual environment, on this machine alone.

if [ -z "${ROS_DISTRO:-}" ] && [ -f /opt/ros/jazzy/setup.bash ]; then
  set +u  # the ROS setup files read variables that may be unset
  source /opt/ros/jazzy/setup.bash
  set -u
fi
if [ -f .venv/bin/activate ]; then
  source .venv/bin/activate
fi
# No packet leaves the machine. A domain id of one's own is set by whoever starts nodes.
export ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST
