#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
# Make the shipped models and their cards with the full schedule. `make models` calls this.
# Beside the edit stand its two references on the same data, steps and seeds: the filtered retrain
# and the filtered fine-tune. Stopped with Ctrl-C, it goes on where it was when called again.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/steps.sh

EPISODES=${EPISODES:-400}
TRAIN_STEPS=${TRAIN_STEPS:-15000}
EDIT_STEPS=${EDIT_STEPS:-450}
AUDIT_EPISODES=${AUDIT_EPISODES:-300}
# Seeds never meet: what the policy learned from, and what it is judged on.
DEMO_SEED=0
AUDIT_SEED=100000
# These were looked at while the method was built; no audit takes them for fresh ones.
DEVELOPMENT_SEEDS=900000:900100
# Fixed, since a training repeats exactly with the same number of threads alone.
THREADS=2

mkdir -p runs models
choose_folder runs/models "$EPISODES demonstrations, $TRAIN_STEPS + $EDIT_STEPS steps,\
 $AUDIT_EPISODES audited episodes"
echo "uncloning_ros models in $OUT/: $(cat "$OUT/schedule")"

title 'Demonstrations of both modes'
show uncloning demos --scenario knife --episodes "$EPISODES" --seed $DEMO_SEED \
  --out "$OUT/demos" --resume
once "$OUT/data" uncloning dataset "$OUT/demos" --out "$OUT/data"

title 'The mixed policy'
train "$OUT/runs/mixed" --steps "$TRAIN_STEPS" --threads $THREADS

title 'The edit, and the fine-tune it has to beat'
once "$OUT/runs/uncloned" uncloning unclone "$OUT/runs/mixed" --data "$OUT/data" \
  --remove blade_first --steps "$EDIT_STEPS" --threads $THREADS --out "$OUT/runs/uncloned"
once "$OUT/runs/finetuned" uncloning unclone "$OUT/runs/mixed" --data "$OUT/data" \
  --remove blade_first --steps "$EDIT_STEPS" --threads $THREADS --gamma 0 --out "$OUT/runs/finetuned"

title 'The retrain on the desired mode alone'
train "$OUT/runs/retrained" --steps "$TRAIN_STEPS" --threads $THREADS --only-modes handle_first

title 'Export'
for name in mixed uncloned finetuned retrained; do
  once "$OUT/knife_$name.onnx" uncloning export "$OUT/runs/$name" --out "$OUT/knife_$name.onnx" \
    --development-seeds $DEVELOPMENT_SEEDS
done
show uncloning diff "$OUT/knife_mixed.onnx" "$OUT/knife_uncloned.onnx"

title 'The mixed policy from one fixed start'
once "$OUT/noise_draws.json" scripts/noise_draws.py "$OUT/knife_mixed.onnx" --seed 900000 \
  --json "$OUT/noise_draws.json"

title 'Audit of the edit against each, on the same seeds'
for name in mixed retrained finetuned; do
  [ -e "$OUT/against_$name.html" ] ||
    show uncloning audit "$OUT/knife_uncloned.onnx" --against "$OUT/knife_$name.onnx" \
      --scenario knife --episodes "$AUDIT_EPISODES" --seed $AUDIT_SEED \
      --json "$OUT/against_$name.json" --html "$OUT/against_$name.html"
done

title 'Cards'
for name in mixed uncloned; do
  once "$OUT/knife_$name.md" scripts/model_card.py "$OUT" "$name" --out "$OUT/knife_$name.md"
done

touch "$OUT/finished"
for file in "$OUT"/knife_{mixed,uncloned}.{onnx,md}; do
  if [ -e "models/${file##*/}" ]; then
    echo "models/${file##*/} is left as it is; to replace it: cp $file models/"
  else
    cp "$file" models/
    echo "wrote models/${file##*/}"
  fi
done
