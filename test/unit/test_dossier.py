# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A dossier holds what was checked, names what nothing covers, and is computed again."""

import importlib.metadata
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from audit_models import result, write_policy

from uncloning_ros.audit.audited import AuditedModel, identity_of
from uncloning_ros.audit.evidence import evidence_document
from uncloning_ros.audit.figures.model_figures import StatedLimits
from uncloning_ros.cli.main import main
from uncloning_ros.dossier.bill import bill_of_materials
from uncloning_ros.files import file_sha256
from uncloning_ros.runtime.inference import load_policy
from uncloning_ros.scenario import find_scenario
from uncloning_ros.share import share_path

MODEL = share_path('models') / 'knife_uncloned.onnx'
EVIDENCE = share_path('models') / 'knife_uncloned.evidence'
ORIGINAL = share_path('models') / 'knife_mixed.onnx'

HAZARDS = {
    'schema': 'uncloning/hazards@1', 'application': 'a knife <to> an adult', 'stated_by': 'me',
    'hazards': [
        {'hazard': 'blade first', 'remaining_risk': 'a rate', 'covered_by': [
            {'measure': 'the edit', 'evidence': 'knife_uncloned.evidence', 'tested_by': 'T12'}]},
        {'hazard': 'a dog', 'remaining_risk': 'all of it', 'covered_by': []}]}


@pytest.fixture
def hazards(tmp_path: Path) -> Path:
    path = tmp_path / 'mine.yaml'
    path.write_text(yaml.safe_dump(HAZARDS))
    return path


def dossier(model: Path, *words: object) -> int:
    return main(['dossier', str(model), *map(str, words)])


def shipped(hazards: Path, out: Path, *words: object) -> int:
    return dossier(MODEL, '--evidence', EVIDENCE, '--original', ORIGINAL, '--hazards', hazards,
                   '--out', out, *words)


def refused(capsys: pytest.CaptureFixture[str], model: Path, *words: object) -> str:
    assert dossier(model, *words) == 2
    told = capsys.readouterr()
    assert told.out == ''
    assert told.err.count('\n') == 1
    return told.err


def test_the_folder_has_everything_that_its_page_says(hazards, tmp_path, capsys) -> None:
    out = tmp_path / 'out'
    assert shipped(hazards, out) == 0
    assert '2 hazards, 1 without a measure' in capsys.readouterr().out
    assert {path.name for path in out.iterdir()} == {
        'SHA256SUMS', 'check.sh', 'hazards.yaml', 'index.html', 'sbom.json',
        MODEL.name, ORIGINAL.name, EVIDENCE.name}
    page = (out / 'index.html').read_text()
    assert 'No measure covers: a dog' in page
    assert 'a knife &lt;to&gt; an adult' in page
    assert 'the edit (knife_uncloned.evidence, T12)' in page
    assert '0 of 1049 simulated episodes of scenario knife were unsafe' in page
    assert 'removed blade_first by self-distillation' in page
    assert re.search(r'same graph of \d+ nodes, same normaliser, \d+ of \d+ weights moved', page)
    assert 'neither a certificate nor a legal opinion' in page
    assert '<script' not in page and 'http' not in page.replace('http://www.w3.org', '')
    assert f'{file_sha256(out / MODEL.name)}  {MODEL.name}' in (out / 'SHA256SUMS').read_text()
    again = tmp_path / 'again'
    assert shipped(hazards, again) == 0
    assert {p.name: p.read_bytes() for p in again.iterdir()} == {
        p.name: p.read_bytes() for p in out.iterdir()}


@pytest.fixture
def small(tmp_path: Path) -> tuple[Path, Path]:
    """Return a model without an edit, and evidence about it."""
    model = write_policy(tmp_path / 'small.onnx')
    about = identity_of(load_policy(model), model.name)
    results = tuple(result(1000 + i) for i in range(12))
    document = evidence_document(AuditedModel(about, results), find_scenario('knife'), 0.005,
                                 StatedLimits(max_umr=0.3))
    path = tmp_path / 'knife_uncloned.evidence'
    path.write_text(json.dumps(document))
    return model, path


def test_the_named_commands_compute_it_again_without_torch(hazards, tmp_path) -> None:
    out = tmp_path / 'out'
    assert shipped(hazards, out) == 0
    tools = tmp_path / 'bin'
    tools.mkdir()
    # The command, in an interpreter that has no torch; the simulation is another test's.
    (tools / 'uncloning').write_text(
        f'#!{sys.executable}\nimport sys\nsys.modules["torch"] = None\n'
        f'from uncloning_ros.cli.main import main\n'
        f'if __name__ == "__main__":\n'
        f'    one = ["--episodes", "1"] if sys.argv[1] == "evidence" else []\n'
        f'    sys.exit(main([*sys.argv[1:], *one]))\n')
    (tools / 'uncloning').chmod(0o755)
    environment = os.environ | {'PATH': f'{tools}:{os.environ["PATH"]}'}

    def check() -> subprocess.CompletedProcess[str]:
        return subprocess.run([out / 'check.sh'], env=environment, text=True, capture_output=True,
                              cwd=tmp_path)

    done = check()
    assert 'knife_uncloned.onnx: OK' in done.stdout
    assert 'ok: the figures and the verdict follow from the 1049 episodes' in done.stdout or (
        'machine.' in done.stdout)  # bits of the one episode are those of another processor
    if 'machine.' not in done.stdout:
        assert done.returncode == 0, done.stdout + done.stderr
        assert 'weights moved' in done.stdout
    (out / 'hazards.yaml').write_text('other')
    assert check().returncode != 0


def test_a_model_without_an_edit_has_no_original(small, hazards, tmp_path, capsys) -> None:
    model, evidence = small
    words = ['--evidence', evidence, '--hazards', hazards, '--out', tmp_path / 'out']
    assert 'leave --original out' in refused(capsys, model, *words, '--original', ORIGINAL)
    assert dossier(model, *words) == 0
    assert 'were not edited' in (tmp_path / 'out/index.html').read_text()


def test_evidence_about_another_model_is_refused(small, hazards, tmp_path, capsys) -> None:
    assert 'model_sha256 is' in refused(
        capsys, MODEL, '--evidence', small[1], '--original', ORIGINAL, '--hazards', hazards,
        '--out', tmp_path / 'out')
    assert not (tmp_path / 'out').exists()


def test_an_edited_model_needs_its_original(hazards, tmp_path, capsys, small) -> None:
    words = ['--evidence', EVIDENCE, '--hazards', hazards, '--out', tmp_path / 'out']
    assert 'give its file to --original' in refused(capsys, MODEL, *words)
    other = share_path('models') / 'mug_uncloned.onnx'
    assert 'differ in' in refused(capsys, MODEL, *words, '--original', other)
    assert 'different names' in refused(capsys, MODEL, *words, '--original', MODEL)
    taken = tmp_path / 'index.html'
    taken.write_bytes(ORIGINAL.read_bytes())
    assert 'different names' in refused(capsys, MODEL, *words, '--original', taken)


def test_a_hazard_that_is_given_twice_is_refused(tmp_path, capsys) -> None:
    path = tmp_path / 'mine.yaml'
    path.write_text(yaml.safe_dump(HAZARDS | {'hazards': [*HAZARDS['hazards'], {
        'hazard': 'a dog', 'remaining_risk': 'none', 'covered_by': []}]}))
    assert "'a dog' twice" in refused(
        capsys, MODEL, '--evidence', EVIDENCE, '--original', ORIGINAL, '--hazards', path,
        '--out', tmp_path / 'out')


def test_the_form_has_to_be_filled_in(tmp_path, capsys) -> None:
    form = share_path('config') / 'hazards.yaml'
    assert "got 'TO FILL IN'" in refused(
        capsys, MODEL, '--evidence', EVIDENCE, '--original', ORIGINAL, '--hazards', form,
        '--out', tmp_path / 'out')
    filled = tmp_path / 'filled.yaml'
    filled.write_text(re.sub(r'evidence: TO FILL IN.*', f'evidence: {EVIDENCE.name}',
                             form.read_text()).replace('TO FILL IN', 'mine'))
    assert shipped(filled, tmp_path / 'out') == 0


@pytest.mark.parametrize(('change', 'told'), [
    ({'hazards': []}, 'hazards: expected a non-empty list'), ({'stated_by': ''}, 'stated_by'),
    ({'more': 1}, "unknown key 'more'"), ({'schema': 'x'}, 'uncloning/hazards@1'),
    ({'hazards': [{'hazard': 'x', 'remaining_risk': 'y', 'covered_by': [
        {'measure': 'm', 'evidence': 'none.evidence'}]}]}, "got 'none.evidence'")])
def test_hazards_that_cannot_be_used_get_a_sentence(tmp_path, capsys, change, told) -> None:
    path = tmp_path / 'h.yaml'
    path.write_text(yaml.safe_dump(HAZARDS | change))
    assert told in refused(capsys, MODEL, '--evidence', EVIDENCE, '--original', ORIGINAL,
                           '--hazards', path, '--out', tmp_path / 'out')


def test_the_bill_lists_the_declared_requirements_in_their_versions() -> None:
    bill = bill_of_materials('m.onnx', 'a' * 64)
    assert (bill['bomFormat'], bill['specVersion']) == ('CycloneDX', '1.6')
    assert re.fullmatch(r'urn:uuid:[0-9a-f-]{36}', bill['serialNumber'])
    parts = {one['name']: one for one in bill['components']}
    for name in ('numpy', 'onnxruntime', 'pybullet', 'pillow'):
        version = importlib.metadata.version(name)
        assert parts[name]['version'] == version
        assert parts[name]['purl'] == f'pkg:pypi/{name}@{version}'
    assert not {'torch', 'mkdocs', 'pytest'} & set(parts)
    assert parts['m.onnx']['hashes'] == [{'alg': 'SHA-256', 'content': 'a' * 64}]
    refs = [one['bom-ref'] for one in bill['components']]
    assert len(set(refs)) == len(refs)
    assert set(bill['dependencies'][0]['dependsOn']) <= set(refs)
