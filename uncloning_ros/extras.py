# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The sentence for a missing library: which extra of setup.py brings it, or ROS 2."""

# Top-level modules of the extras.
FROM_EXTRAS = ('PIL', 'av', 'google', 'mcap', 'onnx', 'onnxruntime', 'pyarrow', 'pybullet',
               'pybullet_data', 'pybullet_utils', 'ray', 'rosbags', 'safetensors',
               'tensorboard', 'torch', 'tqdm', 'zstandard')
# Extra of each command and node; the other commands need [train]. Both hold [run].
_EXTRAS = {**dict.fromkeys(('demos', 'audit', 'evidence', 'simulator', 'demonstrator'), 'sim'),
           **dict.fromkeys(('attack', 'dossier'), 'train,sim'),
           **dict.fromkeys(('recover', 'label', 'inspect', 'replay', 'recorder', 'keyboard',
                            'policy'), 'run')}
# Extra of each package that some commands or options need.
_OWN_EXTRAS = {'av': 'lerobot', 'pyarrow': 'lerobot', 'ray': 'ray'}
_FROM_ROS = ('rclpy', 'interfaces', 'msgs', 'srvs')  # last words of the packages' names


def missing(program: str | None, err: ImportError) -> str | None:
    """Return the sentence for the command or node that needs a library, None for a defect."""
    package = (err.name or '').partition('.')[0]
    if package in FROM_EXTRAS:
        extra = _OWN_EXTRAS.get(package) or _EXTRAS.get(program or '', 'train')
        remedy = f"install it in the package's folder with: pip install '.[{extra}]'"
    elif package.rpartition('_')[2] in _FROM_ROS:
        remedy = 'source ROS 2 first, as in: source /opt/ros/jazzy/setup.bash'
    else:
        return None
    return f'{program} needs {err.name}, which is not installed; {remedy}'
