# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The package works where it is installed: from a wheel that an sdist gave, without a checkout."""

import os
import shutil
import site
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

import uncloning_ros

REPOSITORY = Path(__file__).resolve().parents[2]
OFFLINE = ('--no-deps', '--no-index', '--quiet', '--disable-pip-version-check')


def run(words: list[str], folder: Path) -> str:
    environment = {name: value for name, value in os.environ.items()
                   if name not in ('PYTHONPATH', 'AMENT_PREFIX_PATH')}
    done = subprocess.run(words, cwd=folder, text=True, capture_output=True, env=environment,
                          timeout=300)
    assert done.returncode == 0, f'{" ".join(words)}: {done.stdout}{done.stderr}'
    return done.stdout


def wheel_of(source: Path, out: Path) -> Path:
    run([sys.executable, '-m', 'pip', 'wheel', *OFFLINE, '--no-build-isolation', '--wheel-dir',
         str(out), str(source)], out)
    wheel, = out.glob('*.whl')
    return wheel


def tracked(target: Path) -> Path:
    """Copy the files of the checkout, without what was built or trained in it."""
    names = subprocess.run(['git', 'ls-files', '-co', '--exclude-standard'], cwd=REPOSITORY,
                           text=True, capture_output=True, check=True).stdout.splitlines()
    for name in names:
        if (REPOSITORY / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY / name, target / name)
    return target


@pytest.fixture(scope='module')
def wheels(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return the wheel of the checkout, and that of its sdist."""
    pytest.importorskip('setuptools')
    folder = tmp_path_factory.mktemp('dist')
    source = tracked(folder / 'checkout')
    run([sys.executable, 'setup.py', '--quiet', 'sdist', '--dist-dir', str(folder)], source)
    archive, = folder.glob('*.tar.gz')
    shutil.unpack_archive(archive, folder / 'sdist', filter='data')
    unpacked, = (folder / 'sdist').iterdir()
    made = []
    for name, place in (('checkout', source), ('sdist', unpacked)):
        (folder / f'{name}_wheel').mkdir()
        made.append(wheel_of(place, folder / f'{name}_wheel'))
    return made[0], made[1]


@pytest.fixture(scope='module')
def installed(wheels: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a new environment with the wheel; it borrows the dependencies of this one."""
    place = tmp_path_factory.mktemp('installed') / 'env'
    venv.create(place)
    run([sys.executable, '-m', 'pip', '--python', str(place), 'install', *OFFLINE,
         str(wheels[1])], place)
    packages, = place.glob('lib/python3*/site-packages')
    (packages / 'dependencies.pth').write_text('\n'.join(site.getsitepackages()))
    return place


@pytest.mark.slow
def test_sdist_and_checkout_give_the_same_files(wheels: tuple[Path, Path]) -> None:
    of_checkout, of_sdist = (sorted(zipfile.ZipFile(wheel).namelist()) for wheel in wheels)
    assert of_checkout == of_sdist


@pytest.mark.slow
def test_an_installed_package_finds_its_files_and_works_from_any_folder(
        installed: Path, tmp_path: Path) -> None:
    uncloning = str(installed / 'bin' / 'uncloning')
    assert uncloning_ros.__version__ in run([uncloning, '--version'], tmp_path)
    where = run([str(installed / 'bin' / 'python'), '-c',
                 'import uncloning_ros; print(uncloning_ros.__file__)'], tmp_path)
    assert where.startswith(str(installed))
    run([uncloning, 'demos', '--scenario', 'knife', '--episodes', '2', '--workers', '1', '--out',
         'demos'], tmp_path)
    run([uncloning, 'inspect', 'demos', '--html', 'session.html'], tmp_path)
    shared = installed / 'share' / 'uncloning_ros'
    found = run([uncloning, 'evidence', 'show', str(shared / 'models/knife_uncloned.evidence')],
                tmp_path)
    assert 'knife' in found
    for name in ('launch/handover.launch.py', 'config/contract.yaml', 'package.xml'):
        assert (shared / name).is_file(), name
