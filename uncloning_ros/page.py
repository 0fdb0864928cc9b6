# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The parts of a self-contained HTML page: no script, nothing loaded from anywhere.

Plots are inline SVG. Readable on a telephone and on paper. Arguments named `body` or `parts` are
HTML already; other texts are escaped here, unless they are `Html`.
"""

import base64
from collections.abc import Iterable, Mapping, Sequence
from html import escape


class Html(str):
    """A text that is HTML already."""


def joined(*texts: str) -> Html:
    """Return texts in a row as HTML."""
    return Html(''.join(text if isinstance(text, Html) else escape(text) for text in texts))


def bold(text: str) -> Html:
    """Return a text in bold."""
    return Html(f'<b>{joined(text)}</b>')


def dim(text: str) -> Html:
    """Return a text that stands back."""
    return Html(f'<span class="dim">{joined(text)}</span>')


def below(text: str) -> Html:
    """Return a text that stands back, on a line of its own."""
    return Html(f'<br>{dim(text)}')


def code(text: str) -> Html:
    """Return a text as it is typed."""
    return Html(f'<code>{joined(text)}</code>')


def html(title: str, sections: Sequence[str], style: str = '') -> str:
    """Return the whole page; `style` has further rules of CSS."""
    return (f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            f'<title>{escape(title)}</title>\n<style>{_STYLE}{style}</style>\n</head>\n<body>\n<main>\n'
            # A number and its % stay on one line.
            + '\n'.join(sections).replace(' %', '&nbsp;%')
            + '\n</main>\n</body>\n</html>\n')


def header(kicker: str, title: str, sub: str, *parts: str) -> str:
    """Return the head of the page: its kind, its title, a line below, and more."""
    return (f'<header><p class="kicker">{escape(kicker)}</p><h1>{escape(title)}</h1>'
            f'<p class="sub">{escape(sub)}</p>{"".join(parts)}</header>')


def notice(text: str, kind: str = '') -> str:
    """Return a paragraph that stands out; `kind` is good, bad or ''."""
    return f'<p class="limit {kind}">{joined(text)}</p>'


def section(title: str, *parts: str) -> str:
    """Return one section of the page under its heading."""
    return f'<section><h2>{escape(title)}</h2>{"".join(parts)}</section>'


def heading(text: str, aside: str = '') -> str:
    """Return the heading of a part of a section, with an aside that stands back."""
    return f'<h3>{joined(text, " ", dim(aside)) if aside else escape(text)}</h3>'


def bar(parts: Iterable[tuple[int, str, str]]) -> str:
    """Return a bar cut into parts, each a count with its colour and its words."""
    spans = ''.join(f'<span style="flex-grow:{count};background:{color}" '
                    f'title="{escape(words)}">{count}</span>' for count, color, words in parts)
    return f'<div class="cuts">{spans}</div>'


def legend(colors: Mapping[str, str]) -> str:
    """Return the list of words with their colours."""
    items = ''.join(f'<li><i style="background:{color}"></i>{escape(words)}</li>'
                    for words, color in colors.items())
    return f'<ul class="legend">{items}</ul>'


def words(sentences: str) -> str:
    """Return a paragraph that explains."""
    return f'<p class="note">{escape(sentences)}</p>'


def bullets(sentences: Iterable[str]) -> str:
    """Return sentences as a list with bullets."""
    return f'<ul class="method">{"".join(f"<li>{escape(one)}</li>" for one in sentences)}</ul>'


def figure(kind: str, data: bytes, size: tuple[int, int], caption: str,
           css_class: str = '') -> Html:
    """Return a picture (a file's bytes) that is inside the page, with its caption."""
    return Html(f'<figure class="{css_class}"><img src="data:image/{kind};base64,'
                f'{base64.b64encode(data).decode()}" width="{size[0]}" height="{size[1]}" '
                f'alt="{escape(caption)}"><figcaption>{escape(caption)}</figcaption></figure>')


def details(summary: str, *parts: str) -> str:
    """Return parts that show once a reader opens them."""
    return f'<details><summary>{escape(summary)}</summary>{"".join(parts)}</details>'


def table(head: Sequence[str], body: Iterable[Sequence[str]], kind: str = '') -> str:
    """Return a table of cells that are HTML already."""
    rows = ''.join('<tr>' + ''.join('<td class="zero">0</td>' if cell == '0' else
                                    f'<td>{cell}</td>' for cell in row) + '</tr>'
                   for row in body)
    return (f'<div class="scroll"><table class="{kind}"><thead><tr>'
            + ''.join(f'<th>{cell}</th>' for cell in head)
            + f'</tr></thead><tbody>{rows}</tbody></table></div>')


def row(*texts: str) -> list[str]:
    """Return one row of a table."""
    return [joined(text) for text in texts]


def text(x: float, y: float, words: str, anchor: str, kind: str = '') -> str:
    """Return a text of an SVG picture; `anchor` is start, middle or end."""
    return (f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" class="{kind}">'
            f'{escape(words)}</text>')


def tip(words: str) -> str:
    """Return the words that a part of an SVG picture shows when it is pointed at."""
    return f'<title>{escape(words)}</title>'


def svg(width: float, height: float, parts: Sequence[str], label: str) -> str:
    """Return an SVG picture that is as wide as its place; `label` is for those who cannot see."""
    return (f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(label)}">'
            + ''.join(parts) + '</svg>')


_STYLE = """
:root{color-scheme:light}
*{box-sizing:border-box}
body{margin:0;background:#fff;color:#1d2329;font:16px/1.5 system-ui,-apple-system,"Segoe UI",
Roboto,"Helvetica Neue",Arial,sans-serif}
main{max-width:860px;margin:0 auto;padding:28px 20px 60px}
h1{font-size:1.9rem;line-height:1.2;margin:.1em 0;overflow-wrap:anywhere}
h2{font-size:1.2rem;margin:2.2em 0 .5em;padding-top:.8em;border-top:1px solid #d9dee3}
h3{font-size:1rem;margin:1.2em 0 .2em;overflow-wrap:anywhere}
p{margin:.5em 0}
.kicker{margin:0;color:#5a6672;font-size:.85rem;letter-spacing:.06em;text-transform:uppercase}
.sub,.note,.dim{color:#5a6672}
.note{font-size:.9rem}
.dim{font-weight:400;font-size:.88em}
.verdict{font-size:1.08rem;border-left:4px solid #2f7f6f;padding-left:14px;margin:1.2em 0 .6em}
.limit{padding:8px 12px;background:#f1f3f5;border-radius:4px}
.limit.bad{background:#fbe9e7;color:#8c1214;font-weight:600}
.limit.good{background:#e6f2ef;color:#1f5c50}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;margin:.8em 0;font-size:.92rem;
font-variant-numeric:tabular-nums}
th,td{text-align:right;padding:5px 10px;border-bottom:1px solid #e4e8ec;vertical-align:top}
th{font-weight:600;border-bottom:2px solid #c3cad1}
th:first-child,td:first-child{text-align:left;padding-left:0}
td.zero{color:#9aa5b0}
table.figures{font-size:1.02rem}
table.provenance td{text-align:left}
table.provenance th{text-align:left}
table.seeds{font-size:.8rem}
code{font-size:.8rem;overflow-wrap:anywhere}
svg{display:block;width:100%;height:auto;margin:.6em 0}
svg text{font-size:13px;fill:#1d2329}
svg text.dim{font-size:12px;fill:#5a6672}
svg .band{fill:#eef1f4}
svg .bar{fill:#2b5f8a}
svg .axis{stroke:#8b96a1}
svg .grid{stroke:#eef1f4}
.cuts{display:flex;height:34px;gap:1px}
.cuts span,.legend i{-webkit-print-color-adjust:exact;print-color-adjust:exact}
.cuts span{flex:1 1 0;min-width:2px;overflow:hidden;color:#fff;font-weight:600;font-size:.9rem;
text-align:center;line-height:34px}
.legend{list-style:none;margin:.7em 0 1em;padding:0;display:flex;flex-wrap:wrap;gap:4px 18px;
font-size:.9rem}
.legend i{display:inline-block;width:12px;height:12px;margin-right:6px}
.strip{display:grid;grid-template-columns:repeat(auto-fill,minmax(200px,1fr));gap:10px}
figure{margin:0}
figure img{display:block;width:100%;height:auto;border:1px solid #d9dee3}
figcaption{font-size:.82rem;color:#5a6672}
.method{padding-left:1.1em;font-size:.95rem}
.method li{margin:.5em 0}
details{margin:.6em 0}
summary{cursor:pointer}
@media (max-width:520px){main{padding:18px 14px 40px}h1{font-size:1.5rem}
th,td{padding:5px 6px}table{font-size:.84rem}table.figures{font-size:.88rem}
svg text{font-size:22px}svg text.dim{font-size:20px}
.strip{grid-template-columns:1fr 1fr}}
@media print{body{font-size:11pt}main{max-width:none;padding:0}section{break-inside:auto}
.episode,svg,tr{break-inside:avoid}h2,h3{break-after:avoid}details,.film{display:none}}
"""
