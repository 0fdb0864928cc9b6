#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
# Create .venv with everything: on the system's ROS 2 where there is one, else with ROS 2 wheels.
# Usage: scripts/make_venv.sh [extra arguments for pip]; PYTHON=... chooses the interpreter.
set -euo pipefail
cd "$(dirname "$0")/.."

refuse() {
  echo "make venv: $1" >&2
  exit 2
}

source scripts/env.sh
if [ ! -f .venv/bin/python ] && python3 -c 'import rclpy' 2>/dev/null; then
  python=${PYTHON:-python3}  # rclpy works with the interpreter that it was built for alone
  site=--system-site-packages
elif [ -f .venv/bin/python ]; then
  python=.venv/bin/python
  site=
else
  python=${PYTHON:-$(command -v python3.11 || command -v python3)} ||
    refuse 'found no Python; install Python 3.11, its venv module and make'
  site=
fi

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
  refuse "$python is $("$python" --version), but 3.11 or newer is needed; set PYTHON=..."
if [ "$python" != .venv/bin/python ]; then
  "$python" -c 'import ensurepip, venv' 2>/dev/null ||
    refuse "$python lacks the venv module; install it (Debian, Ubuntu: apt install python3-venv)"
  "$python" -m venv $site .venv
fi

if grep -q 'include-system-site-packages = true' .venv/pyvenv.cfg; then
  # numpy must stay the one that the system's rclpy was built with.
  ros=('numpy<2')
elif [ "$(uname -m)" = x86_64 ]; then
  ros=(--requirement requirements/ros-jazzy.txt)
else
  refuse "ROS 2 wheels exist for x86_64 only, not for $(uname -m); install ROS 2 Jazzy with apt"
fi
if .venv/bin/python -c 'import sys; sys.exit(sys.version_info < (3, 12))'; then
  echo 'make venv: pybullet has no wheel for this Python; pip compiles it, which takes minutes' \
    'and needs a C++ compiler (python3.11 has a wheel)'
fi
.venv/bin/python -m pip install --disable-pip-version-check --progress-bar off --quiet \
  "$@" --constraint requirements/constraints.txt "${ros[@]}" --editable '.[run,train,sim,lerobot,dev,docs]'
