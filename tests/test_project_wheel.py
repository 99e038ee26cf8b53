"""What is installed: exactly the four packages, with their data, and never tools or tests.

`hal`, `sim` and `rig` are other people's names on the public index, so nothing more of
ours may take a top-level name.
"""

from __future__ import annotations

import subprocess
import sys
import zipfile

import pytest

from tests.project import PACKAGES, ROOT

DATA = (".toml", ".typed", ".html", ".j2", ".svg", ".js", ".css", ".npz")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    with zipfile.ZipFile(next(folder.glob("dxrig-*.whl"))) as wheel:
        return set(wheel.namelist())


def test_the_wheel_holds_the_four_packages_and_nothing_beside_them(installed: set[str]) -> None:
    tops = {name.partition("/")[0] for name in installed}
    assert {top for top in tops if not top.endswith(".dist-info")} == set(PACKAGES)


def test_the_wheel_holds_every_source_and_data_file(installed: set[str]) -> None:
    here = {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.suffix in (".py", *DATA)
    }
    assert here - installed == set()


def test_every_package_says_that_it_is_typed() -> None:
    assert [p for p in PACKAGES if not (ROOT / p / "py.typed").is_file()] == []


def test_the_licence_is_apache_2_and_whole() -> None:
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in text
    assert "Version 2.0, January 2004" in text
    assert text.rstrip().endswith("limitations under the License.")
