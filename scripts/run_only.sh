#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
# Try the part that a robot needs, extra [run], on other Python versions: build a wheel, install it
# with ROS 2 wheels into a new environment, and let the policy node load a model and stop.
# Usage: scripts/run_only.sh [PYTHON...]; without arguments python3.12 and python3.13 of the PATH
# and of pyenv. `make test-run-only` calls this.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

interpreters=("$@")
if [ $# = 0 ]; then
  for version in 3.12 3.13; do
    # pyenv puts commands on the PATH that fail, so a command is tried.
    for found in "python$version" "${PYENV_ROOT:-$HOME/.pyenv}/versions/$version".*/bin/python; do
      if "$found" -c 'import venv' 2>/dev/null; then
        interpreters+=("$(command -v "$found")")
        break
      fi
    done
  done
fi
if [ ${#interpreters[@]} = 0 ]; then
  echo 'test-run-only: found neither python3.12 nor python3.13; name one: scripts/run_only.sh PYTHON' >&2
  exit 2
fi

quiet='--quiet --disable-pip-version-check'
.venv/bin/python -m pip wheel $quiet --no-deps --wheel-dir "$folder" .
for python in "${interpreters[@]}"; do
  env=$(mktemp -d "$folder/env.XXXX")
  "$python" -m venv "$env"
  "$env/bin/python" -m pip install $quiet --constraint requirements/constraints.txt \
    --requirement requirements/ros-jazzy.txt "$(ls "$folder"/*.whl)[run]"
  (cd "$folder" && PATH=$env/bin:$PATH "$env/bin/python" "$OLDPWD/scripts/policy_node_check.py")
done
