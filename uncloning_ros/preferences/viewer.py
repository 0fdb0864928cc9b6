# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The script and the style of pages that draw handovers in 3D and take answers by key.

It draws boxes into a 2D canvas, the farthest face first: enough for a gripper, a tool and a hand,
without a library that a robot without Internet could not load.
"""

STYLE = """
main{max-width:1100px}
header .sub{margin:0}
nav{display:flex;flex-wrap:wrap;gap:4px 18px;margin:.7em 0;border-bottom:1px solid #d9dee3}
nav a{padding:8px 2px;color:#2b5f8a;text-decoration:none}
nav a[aria-current]{font-weight:600;color:#1d2329;border-bottom:3px solid #2f7f6f}
.stage{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:10px}
canvas{display:block;width:100%;aspect-ratio:1/1.1;max-height:56vh;border:1px solid #d9dee3;
border-radius:6px;touch-action:pan-y;cursor:grab}
.stage figcaption{text-align:center;font-size:.95rem}
.time{display:flex;align-items:center;gap:12px;margin:.6em 0}
.time input{flex:1;min-width:0;height:44px}
#clock{min-width:7.2em;text-align:right;font-variant-numeric:tabular-nums;font-size:.9rem}
button{font:inherit;font-weight:600;min-height:48px;padding:8px 14px;border:1px solid #8b96a1;
border-radius:6px;background:#fff;color:#1d2329;cursor:pointer}
button kbd{font:inherit;font-weight:400;color:#5a6672;margin-left:.5em}
#play{min-width:6em}
.saved{display:flex;flex-wrap:wrap;align-items:center;gap:6px 14px;font-size:.9rem;margin:.8em 0}
.saved button{min-height:44px;padding:4px 12px;font-weight:400}
input[type=text]{display:block;width:100%;font:inherit;padding:10px;margin:6px 0 12px;
border:1px solid #8b96a1;border-radius:6px}
"""

# The slider of the time.
TIME = ('<div class="time"><button type="button" id="play">Play</button>'
        '<input type="range" id="time" min="0" step="any" value="0" aria-label="time">'
        '<span id="clock"></span></div>')

SCRIPT = r"""'use strict';
const data = JSON.parse(document.getElementById('motions').textContent);
const canvases = [...document.querySelectorAll('canvas')];
const slider = document.getElementById('time');
const play = document.getElementById('play');
const clock = document.getElementById('clock');
const view = {turn: 1.15, tilt: 0.4, near: 1};  // the robot is on the left
const SKIN = [0.85, 0.66, 0.54], STEEL = [0.45, 0.5, 0.55], EDGE = '#c1121f';
// Boxes [center, size] in m: of the gripper in the frame of its tool centre point, whose +z points
// out of the fingers, and of the hand, whose +x points out of the palm.
const WRIST = [[[0, 0, -0.09], [0.06, 0.2, 0.07]], [[0, 0, -0.17], [0.09, 0.09, 0.09]]];
const HAND = [[[-0.015, 0, 0], [0.03, 0.09, 0.1]], [[-0.15, 0, 0], [0.24, 0.06, 0.06]]];
const length = data.length_s || Math.max(
  ...data.motions.map(one => (one.arm.length - 1) * one.every_s));
let time = 0, playing = false, before = null;

const add = (a, b) => a.map((v, i) => v + b[i]);
const scaled = (a, s) => a.map(v => v * s);
const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2],
                         a[0] * b[1] - a[1] * b[0]];
const unit = a => scaled(a, 1 / Math.max(Math.hypot(...a), 1e-9));

// The pose at a time as origin and three axes, straight between two recorded ones.
function poseAt(poses, motion) {
  // With `length_s` the time counts from the episode's first message.
  const since = data.length_s ? Math.max(time - motion.start_s, 0) : time;
  const at = Math.min(since / motion.every_s, poses.length - 1), i = Math.floor(at);
  const share = at - i;
  const one = poses[i], two = poses[Math.min(i + 1, poses.length - 1)];
  const mixed = one.map((v, k) => v + share * (two[k] - v));
  const x = unit(mixed.slice(3, 6));
  const z = unit(cross(x, mixed.slice(6, 9)));
  return {o: mixed.slice(0, 3), axes: [x, cross(z, x), z]};
}
const placed = (pose, p) => add(pose.o, add(scaled(pose.axes[0], p[0]),
  add(scaled(pose.axes[1], p[1]), scaled(pose.axes[2], p[2]))));

// The middle of all places of the tools, without them of the arm, and the reach from it.
const points = data.motions.flatMap(one => (one.tool || one.arm).map(pose => pose.slice(0, 3)));
const low = [0, 1, 2].map(k => Math.min(...points.map(p => p[k])));
const high = [0, 1, 2].map(k => Math.max(...points.map(p => p[k])));
const middle = low.map((v, k) => (v + high[k]) / 2);
const reach = Math.hypot(...high.map((v, k) => v - low[k])) / 2 + 0.25;

function camera(width, height) {
  const ahead = [Math.cos(view.tilt) * Math.cos(view.turn),
                 Math.cos(view.tilt) * Math.sin(view.turn), -Math.sin(view.tilt)];
  const right = unit(cross(ahead, [0, 0, 1])), up = cross(right, ahead);
  const far = 3.2 * reach / view.near, focus = 1.7 * Math.min(width, height);
  return p => {
    const q = add(p, scaled(middle, -1));
    const depth = Math.max(dot(q, ahead) + far, 0.05), s = focus / depth;
    return [width / 2 + s * dot(q, right), height / 2 - s * dot(q, up), depth];
  };
}

function boxFaces(pose, center, size, color, faces) {
  for (let axis = 0; axis < 3; axis++) {
    const [u, v] = [(axis + 1) % 3, (axis + 2) % 3];
    for (const side of [-1, 1]) {
      const corners = [[-1, -1], [1, -1], [1, 1], [-1, 1]].map(([a, b]) => {
        const p = [...center];
        p[axis] += side * size[axis] / 2; p[u] += a * size[u] / 2; p[v] += b * size[v] / 2;
        return placed(pose, p);
      });
      const light = 0.72 + 0.28 * dot(scaled(pose.axes[axis], side), unit([0.3, -0.5, 0.8]));
      faces.push({corners, fill: `rgb(${color.map(c => Math.round(255 * c * light))})`});
    }
  }
}

function draw(canvas, motion) {
  const ratio = window.devicePixelRatio || 1;
  const width = canvas.clientWidth, height = canvas.clientHeight;
  if (canvas.width !== Math.round(width * ratio)) canvas.width = Math.round(width * ratio);
  if (canvas.height !== Math.round(height * ratio)) canvas.height = Math.round(height * ratio);
  const to = canvas.getContext('2d'), project = camera(width, height);
  to.setTransform(ratio, 0, 0, ratio, 0, 0);
  to.clearRect(0, 0, width, height);
  const line = (from, till, color, wide) => {
    const [a, b] = [project(from), project(till)];
    to.strokeStyle = color; to.lineWidth = wide;
    to.beginPath(); to.moveTo(a[0], a[1]); to.lineTo(b[0], b[1]); to.stroke();
  };
  for (let k = -5; k <= 5; k++) {  // the table, a line each 10 cm
    line([0, k / 10, 0], [1, k / 10, 0], '#e4e8ec', 1);
    line([k / 10 + 0.5, -0.5, 0], [k / 10 + 0.5, 0.5, 0], '#e4e8ec', 1);
  }
  const arm = poseAt(motion.arm, motion);
  const tool = data.tool && motion.tool && poseAt(motion.tool, motion);
  const hand = motion.hand && poseAt(motion.hand, motion);
  const open = !motion.width ? 0.08 : poseAt(
    motion.width.map(w => [w[0], 0, 0, 1, 0, 0, 0, 1, 0]), motion).o[0];
  line([0, 0, 0], [0, 0, 0.35], '#c3cad1', 9);  // the arm: its links are unknown
  line([0, 0, 0.35], placed(arm, [0, 0, -0.21]), '#c3cad1', 9);
  const faces = [];
  for (const [center, size] of WRIST) boxFaces(arm, center, size, STEEL, faces);
  for (const side of [-1, 1]) {
    boxFaces(arm, [0, side * (open / 2 + 0.006), -0.025], [0.02, 0.012, 0.06], STEEL, faces);
  }
  if (hand) for (const [center, size] of HAND) boxFaces(hand, center, size, SKIN, faces);
  if (tool) for (const box of data.tool.boxes) {
    boxFaces(tool, box.center, box.size, box.color, faces);
  }
  for (const face of faces) {
    face.at = face.corners.map(project);
    face.depth = face.at.reduce((sum, p) => sum + p[2], 0) / 4;
  }
  faces.sort((a, b) => b.depth - a.depth);
  for (const face of faces) {
    to.beginPath();
    face.at.forEach((p, i) => i ? to.lineTo(p[0], p[1]) : to.moveTo(p[0], p[1]));
    to.closePath();
    to.fillStyle = face.fill; to.fill();
    to.strokeStyle = 'rgba(29,35,41,.35)'; to.lineWidth = 0.6; to.stroke();
  }
  if (tool) line(placed(tool, data.tool.edge[0]), placed(tool, data.tool.edge[1]), EDGE, 2.5);
}

function show() {
  slider.value = time;
  clock.textContent = `${time.toFixed(1)} of ${length.toFixed(1)} s`;
  play.textContent = playing ? 'Pause' : 'Play';
  canvases.forEach((canvas, i) => draw(canvas, data.motions[i]));
  document.dispatchEvent(new CustomEvent('shown', {detail: time}));
}
function tick(now) {
  if (!playing) return;
  time = Math.min(time + (before === null ? 0 : (now - before) / 1000), length);
  before = now;
  if (time >= length) playing = false;
  show();
  requestAnimationFrame(tick);
}
function setPlaying(on) {
  if (on && time >= length) time = 0;
  playing = on; before = null;
  show();
  if (on) requestAnimationFrame(tick);
}

slider.max = length;
slider.addEventListener('input', () => { time = Number(slider.value); setPlaying(false); });
play.addEventListener('click', () => setPlaying(!playing));
for (const canvas of canvases) {
  canvas.addEventListener('pointerdown', event => canvas.setPointerCapture(event.pointerId));
  canvas.addEventListener('pointermove', event => {
    if (!event.buttons) return;
    view.turn -= event.movementX / 120;
    view.tilt = Math.min(1.5, Math.max(-0.2, view.tilt + event.movementY / 120));
    show();
  });
  canvas.addEventListener('wheel', event => {
    event.preventDefault();
    view.near = Math.min(4, Math.max(0.5, view.near * Math.exp(-event.deltaY / 600)));
    show();
  }, {passive: false});
}
document.addEventListener('keydown', event => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  const button = [...document.querySelectorAll('button[data-keys]')]
    .find(one => one.dataset.keys.split(' ').includes(event.key));
  if (event.key === ' ') setPlaying(!playing);
  else if (button) button.click();
  else return;
  event.preventDefault();
});
// One answer for one question, also if a key is pressed twice.
for (const form of document.querySelectorAll('form')) {
  form.addEventListener('submit', event => {
    if (form.dataset.sent) event.preventDefault();
    form.dataset.sent = '1';
  });
}
window.addEventListener('resize', show);
setPlaying(!matchMedia('(prefers-reduced-motion: reduce)').matches);
"""
