# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Read and write tables as CSV, as spreadsheets write it.

Accepted are commas, semicolons and tabs, a byte order mark, every kind of line end, capital
letters in the names of columns, blank lines, and cells left out at the end of a line.
"""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from uncloning_ros.errors import TrialError, names_shown
from uncloning_ros.files import read_bytes

_MOST_BYTES = 2**24


class Row(NamedTuple):
    """One line of a table, by column; `where` names it, as in "results.csv: line 7"."""

    where: str
    cells: Mapping[str, str]


class Table(NamedTuple):
    """The names of the columns, in small letters, and the lines below them that are not blank."""

    columns: list[str]
    rows: list[Row]


def read_table(path: Path, least_rows: int = 1) -> Table:
    """Read a CSV file; raise `TrialError` if it is not a table or has fewer rows."""
    data = read_bytes(path, TrialError, most_bytes=_MOST_BYTES)
    try:
        text = data.decode('utf-8-sig')
    except UnicodeDecodeError as err:
        raise TrialError(f'{path}: expected UTF-8, got the byte {data[err.start]:#04x} at '
                         f'{err.start}; save it as CSV in UTF-8') from err
    reader = csv.reader(io.StringIO(text, newline=''), delimiter=_delimiter(text), strict=True)
    lines: list[tuple[int, list[str]]] = []
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                lines.append((reader.line_num, [cell.strip() for cell in cells]))
    except csv.Error as err:
        raise TrialError(f'{path}: line {reader.line_num} is not CSV: {err}; save it as CSV '
                         f'again') from err
    if len(lines) < 1 + least_rows:
        raise TrialError(f'{path}: expected a header and a line below it, got '
                         f'{"a header alone" if lines else "an empty file"}; check the path')
    (_, header), *body = lines
    columns = [name.casefold() for name in header if name]
    if len(set(columns)) < len(columns) or any(header[len(columns):]):
        raise TrialError(f'{path}: expected a name of its own above each column, got '
                         f'{names_shown(header)}; name each once')
    return Table(columns, [Row(where, _cells(where, columns, cells)) for number, cells in body
                           for where in [f'{path}: line {number}']])


def table_text(columns: Sequence[str], rows: Iterable[Mapping[str, str]]) -> str:
    """Return a table as CSV with commas."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator='\n')
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _delimiter(text: str) -> str:
    header = text.lstrip().partition('\n')[0]
    return max(',;\t', key=header.count)


def _cells(where: str, columns: Sequence[str], cells: Sequence[str]) -> dict[str, str]:
    if any(cells[len(columns):]):
        raise TrialError(f'{where}: expected {len(columns)} cells, got {len(cells)}; write a text '
                         f'that has the separator in it in quotes')
    return {name: cells[i] if i < len(cells) else '' for i, name in enumerate(columns)}
