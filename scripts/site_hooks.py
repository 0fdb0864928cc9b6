# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Add README.md as the first page of the site, and the linked files outside of docs/.

MkDocs knows files below docs/ only. README links to `docs/x.md` and `config/x`, pages in docs/
link to `../config/x`; both work on a code host. Here they become links of the site.
"""

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
LINKED = re.compile(r'\]\((?:\.\./)*((?:(?:bench|config|launch|models)/|LICENSE)[^)#]*)\)')


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add README.md and the linked files outside of docs/."""
    readme = (ROOT / 'README.md').read_text(encoding='utf-8')
    files.append(File.generated(config, 'index.md', content=readme.replace('](docs/', '](')))
    pages = [readme, *(file.content_string for file in files.documentation_pages())]
    for link in sorted({link for page in pages for link in LINKED.findall(page)}):
        path = ROOT / link
        if path.is_file():
            files.append(File.generated(config, _site_path(link), content=path.read_bytes()))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Point links to files outside of docs/ at their copies on the site."""
    up = '../' * page.file.src_uri.count('/')
    return LINKED.sub(lambda found: f']({up}{_site_path(found[1])})', markdown)


def _site_path(link: str) -> str:
    # A Markdown file would become a page of the site, outside of its navigation.
    return f'files/{link}.txt' if link.endswith('.md') else f'files/{link}'
