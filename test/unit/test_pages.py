# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""README and the pages in docs/ are true: their commands run, their links and targets exist."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from uncloning_ros.cli import main

REPOSITORY = Path(__file__).resolve().parents[2]
DOCS = REPOSITORY / 'docs'
PAGES = [REPOSITORY / 'README.md', *sorted(DOCS.glob('**/*.md'))]
MOST_LINES = 250

# The documented sizes take hours; these take seconds. A row counts for a command with its words;
# None leaves an option away that an earlier row gives.
SMALL = [
    (('demos',), {'--episodes': '10'}),
    (('demos', 'knife_camera'), {'--episodes': '4'}),
    (('demos', '--take-over-from'), {'--episodes': '2'}),
    (('train',), {'--steps': '60', '--threads': '1'}),
    (('unclone',), {'--steps': '20', '--threads': '1'}),
    (('unclone', 'runs/locked'), {'--steps': None, '--threads': None}),  # a lock takes none
    (('unclone', 'fine-tune'), {'--steps': '20', '--threads': '1'}),
    (('unclone', '--sweep'), {'--episodes': '1'}),
    (('unclone', '--preferences'), {'--yes': ''}),
    (('audit',), {'--episodes': '2'}),
    (('attack',), {'--episodes': '1', '--steps': '5', '--draws': '1',
                  '--from-demonstrations': '1'}),
    (('doubt',), {'--episodes': '5', '--false-alarms': '0.2'}),
    (('doubt', '--recordings'), {'--episodes': None, '--false-alarms': '0.5'}),
    (('evidence', 'check'), {'--episodes': '1'}),
    (('evidence', 'check', 'lab.evidence'), {'--episodes': None}),  # trials cannot be repeated
    (('evidence', 'serve'), {'--port': '0'}),
    (('compare',), {'--port': '0'}),
    (('studio',), {'--port': '0'}),
]
# A bound of 1 % cannot hold with two episodes, and two clusters may be found as one or three.
ANY_VERDICT = ('audit',)


def section(page: Path, heading: str) -> str:
    text = page.read_text(encoding='utf-8')
    return re.split(r'^## ', text.split(f'\n## {heading}\n')[1], maxsplit=1, flags=re.MULTILINE)[0]


def command_lines(text: str) -> list[list[str]]:
    """Return every uncloning command in the code blocks of a page, as words."""
    found = re.findall(r'^ *```(\w*)\n(.*?)^ *```', text, re.MULTILINE | re.DOTALL)
    blocks = '\n'.join(block for language, block in found if language in ('', 'bash', 'sh')
                       and '│' not in block)  # a drawing has command names as well
    lines = re.findall(r'^ *(uncloning .*)$', blocks.replace('\\\n', ''), re.MULTILINE)
    return [shlex.split(line)[1:] for line in lines]


def small(words: list[str]) -> list[str]:
    """Return the command with sizes that a test can wait for."""
    words, sizes = list(words), dict[str, str | None]()
    for needed, row in SMALL:
        sizes |= row if needed[0] == words[0] and set(needed) <= set(words) else {}
    for option, value in sizes.items():
        if value is not None and option in words:
            words[words.index(option) + 1] = value
        elif value is not None:
            words += [option, value] if value else [option]
    return words


def run(words: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([sys.executable, '-m', 'uncloning_ros.cli.main', *small(words)],
                          cwd=folder, text=True, capture_output=True, timeout=300)
    right = (0, 1) if words[0] in ANY_VERDICT else (0,)
    assert done.returncode in right, f'{shlex.join(words)}: {done.stderr}'
    return done


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_commands_of_the_readme_and_of_the_labels_run_one_after_another(
        tmp_path: Path) -> None:
    chain = command_lines(section(REPOSITORY / 'README.md', 'The commands'))
    assert len(chain) > 8
    for words in chain:
        run(words, tmp_path)
    for words in command_lines(section(DOCS / 'data.md', 'Labels')):
        if '--name-cluster' in words:
            continue  # names what a person saw on the page of the clusters
        run(words, tmp_path)
    assert (tmp_path / 'demos' / 'clusters.html').is_file()
    for words in command_lines(section(DOCS / 'data.md', 'Look at a session before you train')):
        run([*words[:-1], 'again.html'], tmp_path)


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.name)
def test_every_command_on_a_page_is_one_that_the_parsers_take(
        page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # where none of the outputs exists
    for words in command_lines(page.read_text(encoding='utf-8')):
        main._parser(words[0]).parse_args(words)


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.name)
def test_every_make_target_and_every_linked_file_of_a_page_exists(page: Path) -> None:
    text = page.read_text(encoding='utf-8')
    makefile = (REPOSITORY / 'Makefile').read_text(encoding='utf-8')
    targets = set(re.findall(r'^([a-z-]+):', makefile, re.MULTILINE))
    assert set(re.findall(r'`make ([a-z-]+)', text)) - targets == set()
    links = [link for link in re.findall(r'\]\(([^)#]+)\)', text) if '://' not in link]
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize('name', ['README.md', 'docs/architecture.md'])
def test_the_first_pages_stay_short(name: str) -> None:
    assert len((REPOSITORY / name).read_text(encoding='utf-8').splitlines()) <= MOST_LINES


@pytest.mark.skipif(sys.version_info >= (3, 13), reason='argparse writes other usage lines')
def test_the_commands_page_is_the_help_of_the_commands() -> None:
    done = subprocess.run([sys.executable, 'scripts/commands_page.py'], cwd=REPOSITORY, text=True,
                          capture_output=True, check=True)
    assert done.stdout == (DOCS / 'commands.md').read_text(encoding='utf-8'), (
        'docs/commands.md is not up to date; write it with make docs')


@pytest.mark.slow
def test_the_site_builds_without_a_broken_link(tmp_path: Path) -> None:
    pytest.importorskip('mkdocs')
    done = subprocess.run(
        [sys.executable, '-m', 'mkdocs', 'build', '--strict', '--site-dir', str(tmp_path)],
        cwd=REPOSITORY, text=True, capture_output=True,
        env=os.environ | {'NO_MKDOCS_2_WARNING': '1'})
    assert done.returncode == 0, done.stderr
    assert (tmp_path / 'index.html').is_file()
