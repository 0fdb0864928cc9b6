# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Plain words: phrases that a reader with English as a second language stumbles over are absent.

And every error sentence of the package stands in test/sentences.txt.
"""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest
import sentences

REPOSITORY = Path(__file__).resolve().parents[2]
PAGES = [REPOSITORY / 'README.md', REPOSITORY / 'CHANGELOG.rst',
         *sorted((REPOSITORY / 'docs').glob('**/*.md'))]
SOURCES = sorted(path for folder in ('uncloning_ros', 'launch', 'scripts', 'bench')
                 for path in (REPOSITORY / folder).rglob('*.py'))
# Phrase -> plain words for it.
AVOIDED = {
    r'\b[Ww]hoever\b': 'name the person: the operator, the caller',
    r'\b[Nn]obody\b': 'name the person or thing: no node, no label',
    r'\banew\b': 'again',
    r'\bis no\b(?! longer| more)': 'is not a',
    r'\bso (many|far as|long as to)\b': 'a number, as far as',
    r'\b(is|are) told\b': 'say who tells whom',
    r'\bReturn what\b': 'name the thing that is returned',
    r'^[Ww]hat \w+ (is|are|was|has)\b': 'name the thing',
}


def words_of(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines for people of a page or of a source: docstrings, texts and comments."""
    text = path.read_text(encoding='utf-8')
    if path.suffix != '.py':
        yield from enumerate(text.splitlines(), 1)
        return
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type in (tokenize.COMMENT, tokenize.STRING):
            for i, line in enumerate(token.string.splitlines()):
                yield token.start[0] + i, line.strip('#\'"rf ')


@pytest.mark.parametrize('path', [*PAGES, *SOURCES],
                         ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_words_are_plain(path: Path) -> None:
    found = [f'{path.name}:{line}: {text.strip()}  ({better})' for line, text in words_of(path)
             for phrase, better in AVOIDED.items() if re.search(phrase, text)]
    assert found == []


def test_every_sentence_of_an_error_is_in_the_list() -> None:
    listed = (REPOSITORY / 'test' / 'sentences.txt').read_text(encoding='utf-8').splitlines()
    assert list(sentences.sentences()) == listed, (
        'read the changed sentences, then write the list again: '
        'python test/sentences.py >test/sentences.txt')


def test_the_list_finds_sentences_in_every_form() -> None:
    call = ast.parse("raise BagError(f'{path} is ' + 'damaged: ' f'{err}')").body[0].exc
    assert isinstance(call, ast.Call)
    assert sentences._text(call.args[0]) == '{path} is damaged: {err}'
