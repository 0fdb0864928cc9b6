# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Record episodes and judge them while they are recorded; recover takes that a crash left."""
