#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
# The story with pixels: demonstrations with two cameras, and the shipped policies that see, live.
# `make demo CAMERA=1` calls this. To clone such a policy takes most of an hour on 2 cores, so it is
# left to `SCENARIOS=knife_camera make models`.
# Stopped with Ctrl-C, it goes on where it was when called again.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/steps.sh

EPISODES=${EPISODES:-10}
AUDIT_EPISODES=${AUDIT_EPISODES:-30}
# Seeds never meet: those of the shipped policies' demonstrations and audits are others.
DEMO_SEED=300000
AUDIT_SEED=400000
LIVE_SEEDS='200000 200001 200002'
SCENARIO=knife_camera
CONTRACT=config/contract_camera.yaml
MIXED=models/knife_camera_mixed.onnx
UNCLONED=models/knife_camera_uncloned.onnx

for model in $MIXED $UNCLONED; do
  if [ ! -e "$model" ]; then
    echo "$model is not there yet; make it with: SCENARIOS=$SCENARIO make models" >&2
    exit 2
  fi
done

choose_folder demo-camera "$EPISODES demonstrations, $AUDIT_EPISODES audited episodes"
echo "uncloning_ros demo with cameras in $OUT/: $(cat "$OUT/schedule")"

title 'Operators hand over a knife in front of two cameras: demonstrations as rosbag2 episodes'
show uncloning demos --scenario $SCENARIO --contract $CONTRACT --episodes "$EPISODES" \
  --seed $DEMO_SEED --out "$OUT/demos" $(resumed "$OUT/demos")

title 'What was recorded, with pictures of each episode'
once "$OUT/demos.html" uncloning inspect "$OUT/demos" --html "$OUT/demos.html"

title 'The bags become training data'
once "$OUT/data" uncloning dataset "$OUT/demos" --out "$OUT/data"

title 'The shipped policies, before and after the edit, differ in weights alone'
show uncloning diff $MIXED $UNCLONED

title 'Both files hand over in simulation, on the same seeds; they see rendered pictures alone'
if [ ! -e "$OUT/audit.txt" ]; then
  show uncloning audit $UNCLONED --against $MIXED --scenario $SCENARIO \
    --episodes "$AUDIT_EPISODES" --seed $AUDIT_SEED \
    --json "$OUT/audit.json" --html "$OUT/audit.html" | tee "$OUT/audit.partial"
  mv "$OUT/audit.partial" "$OUT/audit.txt"
fi

title 'The edited file hands over live: its pictures are messages between two ROS 2 processes'
hand_over_live $UNCLONED --scenario $SCENARIO

title 'Done'
cat "$OUT/audit.txt"
echo
echo "Pictures of the demonstrations: $OUT/demos.html"
echo "Report: $OUT/audit.html"
