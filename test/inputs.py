# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Inputs that many tests share."""

from uncloning_ros.contract import Contract, load_contract
from uncloning_ros.share import share_path

CONTRACT: Contract = load_contract(share_path('config') / 'contract.yaml')
CAMERA_CONTRACT: Contract = load_contract(share_path('config') / 'contract_camera.yaml')
JOINT_CONTRACT: Contract = load_contract(share_path('config') / 'contract_joint.yaml')

# A time at which labels are made.
NOON = '2026-01-31T12:00:00+00:00'
