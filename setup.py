# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Build and install uncloning_ros, with colcon or with pip."""

import re
from pathlib import Path

from setuptools import find_packages, setup

NAME = 'uncloning_ros'
HERE = Path(__file__).resolve().parent
VERSION = re.search(r"__version__ = '(.+)'",
                    (HERE / NAME / '__init__.py').read_text(encoding='utf-8'))[1]

# ROS itself is no pip requirement: apt brings it, or requirements/ros-jazzy.txt.
# One decoder of pictures: others differ in their pixels (uncloning_ros/pictures.py).
RUN = ['onnxruntime>=1.18', 'rosbags>=0.10', 'mcap>=1.1', 'zstandard>=0.20', 'tqdm',
       'pillow==13.0.0']
# launch_pytest of Jazzy does not work with pytest 8.4.
TEST = ['pytest>=7.4,<8.4', 'pytest-timeout', 'hypothesis', 'mcap-ros2-support', 'scipy']
EXTRAS = {
    # what a robot needs: policy node and recorder
    'run': RUN,
    # datasets from bags, cloning, uncloning, and export, which runs what it wrote
    'train': [*RUN, 'torch>=2.4', 'safetensors>=0.4', 'onnx>=1.16', 'tensorboard'],
    # demonstrations as bags, and audits in simulation
    'sim': [*RUN, 'pybullet>=3.2.6'],
    # LeRobotDataset v3 in and out, as a file format
    'lerobot': [*RUN, 'pyarrow>=15', 'av>=14'],
    # audits on a Ray cluster: uncloning audit --on ray
    'ray': ['ray>=2.40'],
    # the tests without the checks of style and types; `colcon test` looks for this name
    'test': TEST,
    'dev': [*TEST, 'import-linter>=2.0', 'mypy', 'ruff', 'setuptools>=70.1'],
    # the documentation site
    'docs': ['mkdocs>=1.6', 'mkdocs-material>=9.5', 'mkdocstrings[python]>=0.26'],
}


def data_files() -> list[tuple[str, list[str]]]:
    """Return what goes to share/, as (folder below the prefix, files)."""
    share = f'share/{NAME}'
    files = [('share/ament_index/resource_index/packages', [f'resource/{NAME}']),
             (share, ['package.xml'])]
    for root in ('launch', 'config', 'models'):
        folders = [HERE / root, *(path for path in (HERE / root).rglob('*') if path.is_dir())]
        for folder in folders:
            inside = sorted(path for path in folder.glob('*') if path.is_file())
            names = [str(path.relative_to(HERE)) for path in inside]
            if names:
                files.append((f'{share}/{folder.relative_to(HERE)}', names))
    return files


setup(
    name=NAME,
    version=VERSION,
    description='Unclone unsafe handover modes from a robot policy, and run it on ROS 2',
    long_description=(HERE / 'README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    maintainer='The uncloning_ros authors',
    maintainer_email='uncloning-ros@users.noreply.github.com',
    packages=find_packages(include=[NAME, f'{NAME}.*']),
    data_files=data_files(),
    python_requires='>=3.11',
    install_requires=['numpy>=1.26', 'PyYAML'],
    extras_require=EXTRAS,
    zip_safe=True,
    entry_points={
        'console_scripts': [
            'uncloning = uncloning_ros.entry:uncloning',
            'simulator = uncloning_ros.entry:simulator',
            'demonstrator = uncloning_ros.entry:demonstrator',
            'recorder = uncloning_ros.entry:recorder',
            'keyboard = uncloning_ros.entry:keyboard',
            'gripper = uncloning_ros.entry:gripper',
            'teleoperation = uncloning_ros.entry:teleoperation',
            'policy = uncloning_ros.entry:policy',
        ],
    },
)
