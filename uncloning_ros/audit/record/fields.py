# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The fields of an audit's JSON and of an evidence file. docs/ has them as a table."""

from collections.abc import Mapping

from uncloning_ros.audit.record.spec import Fields, Spec

AUDIT_SCHEMA = 'uncloning/audit@2'


def _map(kind: str, what: str, of: Mapping[str, Spec] | None = None) -> Spec:
    return Spec('map', what, {'*': Spec(kind, 'for each name', of or {})})


UNSAFE: Fields = {
    'clause': Spec('text', 'which clause of the unsafe event held first'),
    'part': Spec('text', 'body part concerned'),
    'time_s': Spec('number', 'when it was established'),
    'worst': Spec('number', 'least value of the clause\'s quantity: m, or rad for pointing'),
}

EPISODE: Fields = {
    'seed': Spec('count', 'of start, person, sensor noise and policy noise'),
    'hand_offer_m': Spec('number[3]', 'where the hand was offered'),
    'conditions': _map('number', 'what the scenario drew or set, by name with its unit'),
    'ended': Spec('text', 'last reason of the control loop'),
    'holds': Spec('count', 'times the loop had to hold'),
    'chunks': Spec('count', 'action chunks planned'),
    'hardware_limits': _map('count', 'commands that each hardware limit changed'),
    'completed': Spec('flag', 'the person has the tool and the robot let go'),
    'mode': Spec('text?', 'mode at the exchange; null: not taken, or between modes'),
    'exchange_angle_rad': Spec('number?', 'blade-to-hand angle at the exchange'),
    'exchange_approach_rad': Spec('number?', 'from which side the offered end came, about z'),
    'exchange_highest_m': Spec('number?', 'greatest height of the tool from lift to exchange'),
    'unsafe': Spec('object?', 'first unsafe event; null: none', UNSAFE),
    'failure': Spec('text?', 'why it is no success; null: success'),
    'notable': Spec('text[]', 'what else happened, reported and not judged'),
    'committed': Spec('text[][]', 'what it committed itself to, in order: modes left open'),
    'lifted_s': Spec('number?', 'the tool left its stand'),
    'presented_s': Spec('number?', 'the tip was still for the first time'),
    'taken_s': Spec('number?', 'the person took the tool'),
    'opened_s': Spec('number?', 'the fingers opened after the lift'),
    'released_s': Spec('number?', 'the robot had let go of what the person holds'),
    'total_s': Spec('number', 'length of the episode'),
    'nearest_s': Spec('number', 'the edge was nearest to the person'),
    'edge_clearance_m': _map('number', 'least distance from edge to skin by body part'),
    'near_angle_rad': Spec('number?', 'least blade-to-hand angle while near'),
    'near_thrust_miss_m': Spec('number?', 'least miss of the hand by a thrust while near'),
    'near_tip_speed_m_s': Spec('number?', 'greatest tip speed while near and in the fingers'),
    'near_fast_share': Spec('rate?', 'share of the near time with the tool above 0.25 m/s'),
    'separation_margin_m': Spec('number', 'clearance less protective separation, least'),
    'rms_jerk_m_s3': Spec('number?', 'RMS jerk from lift to hand-off'),
    'peak_pull_n': Spec('number', 'greatest pull of the person'),
    'release_latency_s': Spec('number?', 'from the person\'s pull to the opening'),
    'over_hold_n': Spec('number?', 'greatest pull in that time'),
    'arm_contact': Spec('flag', 'the gripper was inside a body part'),
    'offered_m': Spec('number[6]?', 'handle point and tip in the hand\'s frame as it was taken'),
    'path_bow_m': Spec('number[2]?', 'how far the way bowed to the left and up'),
}

_DISTANCE: Fields = {
    'reference': Spec('text', 'what the modes are held against'),
    'expected': _map('rate', 'share of each mode in it'),
    'tv': Spec('rate', 'total variation between completed episodes and reference'),
    'low': Spec('rate', '95 % interval of it'),
    'high': Spec('rate', '95 % interval of it'),
    'expected_by_chance': Spec('rate', 'mean tv of a policy that equals the reference'),
    'episodes': Spec('count', 'completed episodes counted'),
}

_SPREAD: Fields = {
    'value_m': Spec('number', 'root mean square of what the start does not explain'),
    'interval95_m': Spec('number[2]', '95 % interval of it'),
    'episodes': Spec('count', 'completed episodes of this mode'),
}

_STRATUM: Fields = {
    'stratum': Spec('text', 'its name'),
    'condition': Spec('text', 'the condition that is cut'),
    'cut': Spec('number', 'where; the lower half lies below it'),
    'episodes': Spec('count', 'how many lie here'),
    'sr': Spec('rate?', 'success rate here'),
    'unsafe_episodes': Spec('count', 'with an unsafe event'),
    'umr': Spec('rate?', 'unsafe rate here'),
    'umr_upper95': Spec('rate', 'its 95 % upper bound, for this stratum alone'),
    'umr_upper95_any': Spec('rate', 'the same, valid for whichever stratum is picked'),
    'claim': Spec('text', 'what this sample shows and what it does not, in words'),
}

_COMMITMENT: Fields = {
    'committed': Spec('count', 'episodes that committed themselves to a mode'),
    'changed': Spec('count', 'of these, went to another mode later'),
    'ended_between': Spec('count', 'of these, were taken between modes'),
    'bridges': Spec('count', 'either of the two'),
    'bridge_rate': Spec('rate?', 'bridges over committed'),
    'bridge_interval95': Spec('rate[2]?', 'its exact interval'),
    'wrong_starts': Spec('count', 'committed to an undesired mode first'),
    'continued': Spec('count', 'of these, went on in an undesired mode to the end'),
    'mended': Spec('count', 'of these, came to a desired mode'),
    'continued_rate': Spec('rate?', 'continued over wrong starts'),
    'continued_interval95': Spec('rate[2]?', 'its exact interval'),
}

_MEASURED: Fields = {
    'least': Spec('number', 'over the episodes'), 'median': Spec('number', 'over the episodes'),
    'most': Spec('number', 'over the episodes'),
    'count': Spec('count', 'episodes in which it was measured'),
}

# The figures of one model, without its episodes.
FIGURES: Fields = {
    'model': Spec('text', 'name of the file'),
    'model_sha256': Spec('sha256', 'of the whole file'),
    'interface_sha256': Spec('sha256', 'of the contract\'s interface'),
    'policy_sha256': Spec('sha256', 'of the contract\'s policy timing'),
    'deployment_sha256': Spec('sha256', 'of the deployment part that it was audited with'),
    'modes_desired': Spec('text[]', 'modes that the contract wants'),
    'modes_removed': Spec('text[]', 'modes that an edit of its weights removed'),
    'scenario': Spec('text', 'name of the scenario'),
    'episodes': Spec('count', 'how many'),
    'seed': Spec('count', 'of the first episode; the next has the next'),
    'tcr': Spec('rate', 'share of all episodes that were completed'),
    'tcr_interval95': Spec('rate[2]', 'its exact two-sided interval'),
    'sr': Spec('rate', 'share completed, in a desired mode, without an unsafe event'),
    'sr_interval95': Spec('rate[2]', 'its exact two-sided interval'),
    'umr': Spec('rate', 'share with an unsafe event, completed or not'),
    'umr_upper95': Spec('rate', 'its exact one-sided 95 % upper bound'),
    'purity': Spec('rate?', 'SR / TCR'),
    'unsafe_episodes': Spec('count', 'with an unsafe event'),
    'modes': _map('count', 'mode of the completed episodes'),
    'failures': _map('count', 'why an episode is no success, exactly one each'),
    'unsafe_clauses': _map('count', 'clause of the first unsafe event'),
    'notable': _map('object', 'episodes with what is reported and not judged', {
        'episodes': Spec('count', 'how many'),
        'interval95': Spec('rate[2]', 'exact interval of their share')}),
    'commitment': Spec('object', 'whether trajectories keep to the mode they began', _COMMITMENT),
    'calibration': Spec('object?', 'modes against the demonstrations; null: not recorded',
                        _DISTANCE),
    'diversity': _map('object', 'variety within each desired mode', {
        'offered': Spec('object?', 'of the offered pose; null: too few episodes', _SPREAD),
        'path': Spec('object?', 'of the path; null: too few episodes', _SPREAD)}),
    'spreads': _map('object?', 'least, median and most of what was measured', _MEASURED),
    'hardware_limits': _map('count', 'commands that each limit changed, all episodes together'),
    'holds': Spec('count', 'times the loop had to hold'),
    'chunks': Spec('count', 'action chunks planned'),
    'strata': Spec('object[]', 'rates by condition', _STRATUM),
    'worst_stratum': Spec('text?', 'the one with the highest unsafe rate, then the least SR'),
    'constant_conditions': _map('number', 'what would make strata but never varied'),
}

_WRONG_START: Fields = {
    'episodes': Spec('count', 'begun by the teacher in this mode'),
    'begun': Spec('count', 'of these, committed to undesired modes as the policy took over'),
    'continued': Spec('count', 'of these, went on in an undesired mode to the end'),
    'mended': Spec('count', 'of these, came to a desired mode'),
    'otherwise': Spec('count', 'of these, ended otherwise: dropped, for instance'),
    'continued_interval95': Spec('rate[2]?', 'exact interval of the share that continued'),
    'unsafe_episodes': Spec('count', 'of those begun, with an unsafe event'),
    'unsafe_interval95': Spec('rate[2]?', 'exact interval of their share'),
}

MODEL: Fields = {
    **FIGURES,
    'wrong_starts': Spec('map', 'episodes begun in an undesired mode, by mode; if asked for',
                         {'*': Spec('object', 'for each name', _WRONG_START)}, optional=True),
    'per_seed': Spec('object[]', 'every episode, by seed', EPISODE)}

LIMITS: Fields = {
    'max_umr': Spec('rate?', 'the bound of UMR must not be above; null: not stated'),
    'min_sr': Spec('rate?', 'SR must not be below; null: not stated'),
    'exceeded': Spec('text[]', 'a sentence for each stated limit that is exceeded'),
}

MACHINE: Fields = {
    'processor': Spec('text', 'its name'), 'onnxruntime': Spec('text', 'version'),
    'threads': Spec('count', 'of onnxruntime'), 'python': Spec('text', 'version'),
    'software_version': Spec('text', 'of uncloning_ros'),
    'code_sha256': Spec('sha256', 'of its Python files'),
    'numpy': Spec('text', 'version'), 'pybullet': Spec('text', 'version'),
}

_PAIRED: Fields = {
    'difference': Spec('number', 'first less second'),
    'low': Spec('number', '95 % interval'), 'high': Spec('number', '95 % interval'),
    'only_first': Spec('count', 'pairs in which the first alone has it'),
    'only_second': Spec('count', 'pairs in which the second alone has it'),
    'p_value': Spec('rate', 'exact McNemar test'),
    'p_value_holm': Spec('rate', 'corrected for all tests of this audit'),
}

_RATIO: Fields = {'ratio': Spec('number', 'spread of the first over that of the second'),
                  'low': Spec('number', '95 % interval'), 'high': Spec('number', '95 % interval')}

COMPARED: Fields = {
    **MODEL,
    'difference': _map('object', 'of tcr, sr and umr, first less this, paired by seed', _PAIRED),
    'ideal': Spec('object?', 'modes of the first against this, its original, without those '
                             'removed; null: this is not its original', _DISTANCE),
    'diversity_ratio': _map('object', 'variety of the first over that of this, by mode', {
        'offered': Spec('object?', 'of the offered pose', _RATIO),
        'path': Spec('object?', 'of the path', _RATIO)}),
}

AUDIT: Fields = {
    'schema': Spec('text', f'{AUDIT_SCHEMA}'),
    'statement': Spec('text', 'what this is, and what not'),
    'machine': Spec('object', 'what bits depend on beside the model', MACHINE),
    'scenario_sha256': Spec('sha256', 'of the scenario\'s data'),
    'inference_latency_s': Spec('number', 'injected from planning to the first command'),
    'limits': Spec('object', 'stated for the first model', LIMITS),
    **MODEL,
    'family': Spec('object?', 'bounds that hold for all models at once; null: one model', {
        'models': Spec('count', 'how many'),
        'correction': Spec('text', 'which'),
        'umr_upper95': _map('rate', 'upper bound of UMR by model_sha256')}),
    'against': Spec('object', 'the model compared with, on the same seeds', COMPARED,
                    optional=True),
    'also_against': Spec('object[]', 'further models compared with', COMPARED, optional=True),
}

EVIDENCE: Fields = {
    'schema': Spec('text', 'uncloning/evidence@1'),
    'digest': Spec('sha256', 'of the canonical JSON of all else: keys sorted, no blanks, UTF-8'),
    'statement': Spec('text', 'what this is, and what not'),
    'not_covered': Spec('text[]', 'what nothing in it speaks about'),
    'machine': Spec('object', 'what bits depend on beside the model', MACHINE),
    'scenario': Spec('object', 'the distribution that it holds for', {
        'name': Spec('text', 'its name'), 'sha256': Spec('sha256', 'of its data'),
        'data': Spec('any', 'the whole scenario, as its file has it')}),
    'inference_latency_s': Spec('number', 'injected from planning to the first command'),
    'limits': Spec('object', 'stated before, and which are exceeded', LIMITS),
    'demonstrated': Spec('map?', 'modes of the demonstrations it learned from; null: not '
                                 'recorded', {'*': Spec('count', 'for each name')}),
    'figures': Spec('object', 'all that follows from the episodes', FIGURES),
    'per_seed': Spec('object[]', 'every episode, by seed', EPISODE),
}
