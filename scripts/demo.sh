#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
# The whole story on a reduced schedule: from nothing to a live handover. `make demo` calls this.
# Stopped with Ctrl-C, it goes on where it was when called again.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/steps.sh

# The reduced schedule. `make models` has the full one.
EPISODES=${EPISODES:-200}
TRAIN_STEPS=${TRAIN_STEPS:-6000}
EDIT_STEPS=${EDIT_STEPS:-450}
AUDIT_EPISODES=${AUDIT_EPISODES:-100}
# Seeds never meet: what the policy learned from, what it is judged on, what happens live.
DEMO_SEED=0
AUDIT_SEED=100000
LIVE_SEEDS='200000 200001 200002'

choose_folder demo "$EPISODES demonstrations, $TRAIN_STEPS + $EDIT_STEPS steps,\
 $AUDIT_EPISODES audited episodes"
echo "uncloning_ros demo in $OUT/: $(cat "$OUT/schedule")"

title 'Operators hand over a knife, some blade first: demonstrations as rosbag2 episodes'
show uncloning demos --scenario knife --episodes "$EPISODES" --seed $DEMO_SEED \
  --out "$OUT/demos" $(resumed "$OUT/demos")

title 'The bags become training data'
once "$OUT/data" uncloning dataset "$OUT/demos" --out "$OUT/data"

title 'A policy is cloned from them: it learns both ways'
train "$OUT/runs/mixed" --steps "$TRAIN_STEPS"

title 'Blade first is removed from its weights'
once "$OUT/runs/uncloned" uncloning unclone "$OUT/runs/mixed" --data "$OUT/data" \
  --remove blade_first --steps "$EDIT_STEPS" --out "$OUT/runs/uncloned"

title 'Both become ONNX files that differ in weights alone'
for name in mixed uncloned; do
  once "$OUT/$name.onnx" uncloning export "$OUT/runs/$name" --out "$OUT/$name.onnx"
done
show uncloning diff "$OUT/mixed.onnx" "$OUT/uncloned.onnx"

title 'Both files hand over in simulation, on the same seeds'
if [ ! -e "$OUT/audit.txt" ]; then
  show uncloning audit "$OUT/uncloned.onnx" --against "$OUT/mixed.onnx" \
    --scenario knife --episodes "$AUDIT_EPISODES" --seed $AUDIT_SEED \
    --json "$OUT/audit.json" --html "$OUT/audit.html" | tee "$OUT/audit.partial"
  mv "$OUT/audit.partial" "$OUT/audit.txt"
fi

title 'The edited file hands over live: simulator and policy are two ROS 2 processes'
hand_over_live "$OUT/uncloned.onnx"

title 'Done'
cat "$OUT/audit.txt"
echo
echo "Report: $OUT/audit.html"
