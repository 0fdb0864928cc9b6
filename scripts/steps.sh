# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
# Source this: steps of a long story that tell what they do and are not done twice.

BEGAN=$SECONDS
STEP=0

# Say what comes next.
title() {
  STEP=$((STEP + 1))
  printf '\n== %d. %s (after %d:%02d min)\n' "$STEP" "$1" \
    $(((SECONDS - BEGAN) / 60)) $(((SECONDS - BEGAN) % 60))
}

# Show a command, as one would type it, keep it in the folder's list of commands, and run it.
show() {
  printf '$ %s\n' "$*" >&2
  printf '%s\n' "$*" >>"$OUT/commands"
  "$@"
}

# once FILE COMMAND...: run the command unless what it makes is there already.
once() {
  local made=$1
  shift
  if [ -e "$made" ]; then
    printf '  %s is there already\n' "$made"
  else
    show "$@"
  fi
}

# train RUN OPTION...: train a run, or go on with one that was stopped.
train() {
  local run=$1
  shift
  if [ -d "$run" ]; then
    once "$run/weights.safetensors" uncloning train "$OUT/data" --out "$run" --resume
  else
    show uncloning train "$OUT/data" --out "$run" "$@"
  fi
}

# resumed PATH: the option that goes on with the work that was begun at PATH, if there is any.
resumed() {
  [ ! -e "$1" ] || echo --resume
}

# choose_folder NAME SCHEDULE: set OUT to the folder to work in, NAME or NAME-2 or NAME-3 ...
# A finished folder is left alone; an unfinished one of the same schedule goes on where it stopped.
choose_folder() {
  local number=1
  OUT=$1
  while [ -e "$OUT" ] && { [ -e "$OUT/finished" ] ||
    [ "$(cat "$OUT/schedule" 2>/dev/null)" != "$2" ]; }; do
    number=$((number + 1))
    OUT=$1-$number
  done
  mkdir -p "$OUT"
  printf '%s\n' "$2" >"$OUT/schedule"
}

# hand_over_live MODEL OPTION...: one live handover with each of LIVE_SEEDS until one succeeds, which
# finishes the story; exit with 1 if none does.
hand_over_live() {
  local seed
  for seed in $LIVE_SEEDS; do
    if show scripts/live_handover.py "$@" --seed "$seed"; then
      touch "$OUT/finished"
      return
    fi
    echo 'That handover failed; the next person tries.'
  done
  exit 1
}
