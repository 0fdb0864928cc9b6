# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The script of an episode's page: pictures at the slider's time, and the span of a label.

The viewer's script draws the scene and tells the time with the event `shown`.
"""

STUDIO_SCRIPT = r"""'use strict';
const [from, to] = ['from_s', 'to_s'].map(name => document.getElementById(name));
let shown = 0;

document.addEventListener('shown', event => {
  shown = event.detail;
  for (const camera of document.querySelectorAll('.camera')) {
    const times = camera.dataset.times.split(' ').map(Number);
    const next = times.findIndex(at => at > shown + 1e-6);
    const tile = Math.max(next < 0 ? times.length - 1 : next - 1, 0);
    camera.style.backgroundPosition =
      `${times.length > 1 ? 100 * tile * camera.dataset.step / camera.dataset.rest : 0}% 0`;
  }
});
const begins = document.getElementById('begins'), ends = document.getElementById('ends');
begins.addEventListener('click', () => { from.value = shown.toFixed(1); });
ends.addEventListener('click', () => { to.value = shown.toFixed(1); });
for (const field of [from, to]) {
  field.addEventListener('keydown', event => {
    event.stopPropagation();
    if (event.key === 'Enter') event.preventDefault();  // else it presses the first mode
  });
}
"""
