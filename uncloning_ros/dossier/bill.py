# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The software bill of materials: CycloneDX 1.6 as JSON, of the requirements that are declared.

It lists this package, the requirements of its extras as setup.py declares them with the versions
that are installed here, and the model. Requirements of requirements, Python and ROS 2 itself are
not in it. The format is described at https://cyclonedx.org/docs/1.6/json/.
"""

import importlib.metadata
import re
import uuid
from typing import Any

from uncloning_ros.errors import UncloningError

NAME = 'uncloning_ros'
_EXTRAS = ('run', 'sim')  # those of a robot, and of the check of evidence
_REQUIREMENT = re.compile(
    r'(?P<name>[A-Za-z0-9._-]+)(?P<rest>[^;]*)(;.*extra\s*==\s*[\'"](?P<extra>\w+)[\'"].*)?')


def bill_of_materials(model: str, sha256: str) -> dict[str, Any]:
    """Return the bill for a model with this sha256; the same for the same installation."""
    try:
        version = importlib.metadata.version(NAME)
        components = [_component(name, needed) for name, needed in sorted(_declared().items())]
    except importlib.metadata.PackageNotFoundError as err:
        raise UncloningError(f'expected {err.name} installed with pip or colcon, got nothing; '
                             f'install the package with its extra sim') from err
    root = f'pkg:pypi/{NAME}@{version}'
    return {
        'bomFormat': 'CycloneDX', 'specVersion': '1.6', 'version': 1,
        'serialNumber': f'urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, f"{root}#{sha256}")}',
        'metadata': {'component': {
            'type': 'application', 'bom-ref': root, 'name': NAME, 'version': version,
            'purl': root, 'licenses': [{'license': {'id': 'Apache-2.0'}}]}},
        'components': [*components, {
            'type': 'machine-learning-model', 'bom-ref': f'model:{sha256}', 'name': model,
            'hashes': [{'alg': 'SHA-256', 'content': sha256}]}],
        'dependencies': [{'ref': root, 'dependsOn': [one['bom-ref'] for one in components]}]}


def _declared() -> dict[str, str]:
    """Return the requirements by name: the versions that are allowed."""
    found = {}
    for text in importlib.metadata.requires(NAME) or ():
        match = _REQUIREMENT.match(text)
        if match and match['extra'] in (None, *_EXTRAS):
            found[match['name']] = match['rest'].strip()
    return found


def _component(name: str, allowed: str) -> dict[str, Any]:
    found = importlib.metadata.metadata(name)
    version = found['Version']
    purl = f'pkg:pypi/{name.lower().replace("_", "-")}@{version}'
    stated = found.json.get('license_expression') or found.json.get('license') or ''
    licence = ' '.join(str(stated).split())
    return {
        'type': 'library', 'bom-ref': purl, 'name': name, 'version': version, 'purl': purl,
        **({'licenses': [{'license': {'name': licence}}]} if 0 < len(licence) <= 100 else {}),
        'properties': [{'name': f'{NAME}:declared', 'value': f'{name}{allowed}'}]}
