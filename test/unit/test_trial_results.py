# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Results of trials are read as spreadsheets write them; bad lines get a sentence."""

import threading
from pathlib import Path

import pytest
from trial_plans import HEADER, line, plan_of, results, two_models

from uncloning_ros.errors import TrialError
from uncloning_ros.trials.results import (
    AnsweredMeanwhileError,
    Observed,
    read_results,
    record,
    require_ended,
    succeeded,
)

PLAN = plan_of()
CODE = PLAN.code
WHOLE = [line(PLAN, 1), line(PLAN, 2, 'no,yes,'), line(PLAN, 3, 'yes,no,blade_first'),
         line(PLAN, 4, 'not observed,not observed,'), line(PLAN, 5, 'no,no,'),
         line(PLAN, 6, 'yes,yes,handle_first')]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / 'results.csv'


def test_outcomes_are_read_as_they_were_written(path: Path) -> None:
    found = read_results(results(path, PLAN, WHOLE), PLAN)
    assert [(one.completed, one.unsafe, one.mode) for one in found] == [
        (True, False, 'handle_first'), (False, True, None), (True, False, 'blade_first'),
        (None, None, None), (False, False, None), (True, True, 'handle_first')]
    assert [succeeded(one, PLAN) for one in found] == [True] + [False] * 5
    assert [one.counts_unsafe for one in found] == [False, True, False, True, False, True]


@pytest.mark.parametrize('harmless', [
    lambda text: '\ufeff' + text,
    lambda text: text.replace(',', ';'),
    lambda text: text.replace(',', '\t'),
    lambda text: text.replace('\n', '\r\n'),
    lambda text: text.replace('\n', '\r'),
    lambda text: text + '\n\n;;;\n'.replace(';', ','),
    lambda text: text.replace('\n', '\n\n'),
    lambda text: text.replace('yes', 'TRUE').replace(',no,', ',0,'),
    lambda text: text.replace('trial', 'Trial').replace('plan', ' Plan '),
    lambda text: text.replace('not observed', 'Not Observed'),
    lambda text: text.replace(f',{CODE}', '').replace('2,no,yes,,,', f'2,no,yes,,,,{CODE}'),
    lambda text: text.replace(HEADER, f'{HEADER},,'),
    lambda text: '\n'.join([HEADER, *WHOLE[::-1]]),
])
def test_harmless_spellings_of_a_spreadsheet_change_nothing(path: Path, harmless) -> None:
    expected = read_results(results(path, PLAN, WHOLE), PLAN)
    text = path.read_text('utf-8')
    changed = harmless(text)
    assert changed != text
    path.write_bytes(changed.encode())
    assert read_results(path, PLAN) == expected


@pytest.mark.parametrize(('bad', 'said'), [
    (line(PLAN, 2, ',,'), 'line 3: trial 2: expected an outcome, got nothing under completed'),
    (line(PLAN, 2, 'yes,,handle_first'), 'got nothing under unsafe'),
    (line(PLAN, 2, 'maybe,no,'), "expected completed as yes, no or not observed, got 'maybe'"),
    (line(PLAN, 2, 'yes,2,handle_first'), "expected unsafe as yes, no or not observed, got '2'"),
    (line(PLAN, 2, 'not observed,yes,'), "got unsafe 'yes' alone; an event that was seen was"),
    (line(PLAN, 2, 'yes,not observed,handle_first'), "got completed 'yes' alone"),
    (line(PLAN, 2, 'yes,no,'), 'the mode of a completed trial, handle_first or blade_first or no'),
    (line(PLAN, 2, 'yes,no,handle_frist'), "unknown mode 'handle_frist'.*'handle_first'"),
    (line(PLAN, 1), 'line 3: expected each trial once, got trial 1 again after line 2'),
    (line(PLAN, 7), 'ends with trial 6, got 7; a bound is void if trials are added'),
    (line(PLAN, 0), "the number of a trial, 1 to 6, got '0'"),
    (line(PLAN, 2).replace('2', '²', 1), "the number of a trial, 1 to 6, got '²'"),
    (line(PLAN, 2).replace('2', '9' * 5000, 1), 'the number of a trial'),
    (line(PLAN, 2).replace(CODE, plan_of(task='other').code), 'written under another plan'),
    (line(PLAN, 2) + ',more', 'expected 7 cells, got 8'),
    ('2,"yes', 'is not CSV'),
])
def test_a_bad_line_gets_a_sentence(path: Path, bad: str, said: str) -> None:
    with pytest.raises(TrialError, match=said):
        read_results(results(path, PLAN, [line(PLAN, 1), bad]), PLAN)


@pytest.mark.parametrize(('data', 'said'), [
    (b'', 'got an empty file'), (b'\xef\xbb\xbf\n\n', 'got an empty file'),
    (HEADER.encode(), 'got a header alone'),
    (HEADER.encode('utf-16'), 'expected UTF-8'), (b'trial,\xe4\n1,2', 'expected UTF-8'),
    (b'trial,completed,mode,plan\n1,yes,,x', 'expected the columns .*; add unsafe'),
    (b'trial,completed,unsafe\n1,yes,no', 'add plan'),
    (b'trial,completed,unsave\n1,yes,no', "unknown column 'unsave'.*'unsafe'"),
    (b'trial,trial\n1,1', 'a name of its own'), (b'trial,,plan\n1,,x', 'a name of its own'),
    (b'trial,completed,unsafe,plan\n1,yes,no,', 'expected the code of the plan'),
    (b'version https://git-lfs.github.com/spec/v1\n', 'Git LFS'),
])
def test_a_bad_file_gets_a_sentence(path: Path, data: bytes, said: str) -> None:
    path.write_bytes(data)
    with pytest.raises(TrialError, match=said):
        read_results(path, PLAN)


def test_a_fixed_number_of_trials_is_counted_once_all_were_run(path: Path) -> None:
    whole = read_results(results(path, PLAN, WHOLE), PLAN)
    require_ended(whole, PLAN, path)
    with pytest.raises(TrialError, match='trials 1 to 6, got none of 2; the number was fixed'):
        require_ended([one for one in whole if one.trial != 2], PLAN, path)
    with pytest.raises(TrialError, match='got none of 6'):
        require_ended(whole[:5], PLAN, path)


def test_an_anytime_plan_may_end_early_but_not_leave_out_a_trial(path: Path) -> None:
    plan = plan_of(stopping='anytime')
    found = read_results(results(path, plan), plan)
    require_ended(found[:2], plan, path)
    with pytest.raises(TrialError, match='trials 1 to 6, got none of 2, 3; only the last ones'):
        require_ended([found[0], *found[3:]], plan, path)
    two, _ = two_models(stopping='anytime')
    one_trial = read_results(results(path, two, [line(two, 1)]), two)
    with pytest.raises(TrialError, match='a trial of each model'):
        require_ended(one_trial, two, path)


def test_a_record_is_whole_and_replaces_only_the_outcome_that_was_seen(path: Path) -> None:
    first = Observed(2, True, False, 'handle_first', 'said "a, b"\nand more; ä', 'v.mp4')
    record(path, PLAN, first, '')
    record(path, PLAN, Observed(1, False, False, None), '')
    assert read_results(path, PLAN)[1] == first
    with pytest.raises(AnsweredMeanwhileError, match='completed, safe, handle_first'):
        record(path, PLAN, Observed(2, False, True, None), '')
    with pytest.raises(AnsweredMeanwhileError, match='its answer was taken out'):
        record(path, PLAN, Observed(3, False, True, None), first.mark)
    assert read_results(path, PLAN)[1] == first
    record(path, PLAN, Observed(2, False, True, None), first.mark)
    assert [one.trial for one in read_results(path, PLAN)] == [1, 2]
    assert read_results(path, PLAN)[1].unsafe is True
    assert [one.name for one in path.parent.iterdir()] == ['results.csv']


def test_answers_of_many_threads_are_all_kept(path: Path) -> None:
    plan = plan_of(24)
    threads = [threading.Thread(target=record, args=(
        path, plan, Observed(i, True, False, 'handle_first'), '')) for i in range(1, 25)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert len(read_results(path, plan)) == 24


def test_a_full_disk_is_a_sentence_and_keeps_what_was_there(
        path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record(path, PLAN, Observed(1, True, False, 'handle_first'), '')
    before = path.read_bytes()

    def full(self: Path, data: bytes) -> None:
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(Path, 'write_bytes', full)
    with pytest.raises(TrialError, match='No space left on device; make room'):
        record(path, PLAN, Observed(2, True, False, 'handle_first'), '')
    assert path.read_bytes() == before
