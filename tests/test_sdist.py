"""The source distribution has the whole tree, passes its tests when unpacked, and has the metadata for a package index."""

import re
import shutil
import subprocess
import sys
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest
from conftest import PYTEST, ROOT, bare_environment

BUILT = {"PKG-INFO", "setup.cfg"}
"""The files that setuptools adds."""

READERS = [
    "tests/test_security.py",
    "tests/test_design.py::test_imports_go_one_way",
    "tests/test_readme.py::test_options",
    "tests/test_bench.py::test_readme",
    "tests/test_contributing.py",
    "tests/test_bench.py::test_each_section_is_there",
    "tests/test_deploy.py::test_the_readme",
    "tests/test_needs.py::test_programs_are_declared",
]
"""Tests that read parts of the tree other than the package."""


def files(folder):
    """Return all files below a folder."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A copy of this tree without the files that git ignores."""
    ignored = [line.rstrip("/") for line in (ROOT / ".gitignore").read_text(encoding="utf-8").split()]
    folder = tmp_path_factory.mktemp("checkout") / "gjrpc"
    return Path(shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(".git", *BUILT, *ignored)))


@pytest.fixture(scope="module")
def unpacked(checkout, tmp_path_factory):
    """The folder of the unpacked sdist of the copy."""
    folder = tmp_path_factory.mktemp("sdist")
    build = f"from setuptools.build_meta import build_sdist; build_sdist({str(folder)!r})"
    done = subprocess.run([sys.executable, "-c", build], cwd=checkout, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (archive,) = folder.glob("gjrpc-*.tar.gz")
    shutil.unpack_archive(archive, folder)
    (found,) = [path for path in folder.iterdir() if path.is_dir()]
    return found


@pytest.fixture(scope="module")
def metadata(unpacked) -> Message:
    """The metadata for a package index."""
    return Parser().parsestr((unpacked / "PKG-INFO").read_text(encoding="utf-8"))


def test_complete(checkout, unpacked):
    """The sdist has each file of the tree, and only setuptools adds others."""
    ours = {path for path in files(unpacked) if ".egg-info/" not in path}
    assert ours - BUILT == {path for path in files(checkout) if ".egg-info/" not in path}


def test_its_own_tests(unpacked):
    """Tests pass in the unpacked sdist, also those that read bench/, deploy/ and the documents."""
    environ = bare_environment(PYTHONPATH=str(unpacked))
    done = subprocess.run(
        [*PYTEST, *READERS], cwd=unpacked, env=environ, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^\d\d\d passed", done.stdout, re.MULTILINE), done.stdout


def test_metadata(metadata):
    """The metadata names author, links, licence, and supported Pythons."""
    assert metadata["Author"]
    urls = dict(line.split(", ") for line in metadata.get_all("Project-URL"))
    assert {"Homepage", "Documentation", "Changelog", "Issues"} <= set(urls)
    assert all(url.startswith("https://") for url in urls.values())
    classifiers = metadata.get_all("Classifier")
    assert {"Typing :: Typed", "Programming Language :: Python :: 3.10"} <= set(classifiers)
    assert (metadata["License-Expression"], metadata["Description-Content-Type"]) == ("MIT", "text/markdown")


def test_gunicorn_with_gevent(metadata):
    """`packaging`, which gunicorn's gevent worker imports but gunicorn alone does not require, is installed."""
    required = [re.split(r"[>=;]", words)[0].strip() for words in metadata.get_all("Requires-Dist")]
    assert "gunicorn[gevent]" in required


def test_links(metadata):
    """Links and images of the README are absolute, for package indexes, and those into the repository name existing files."""
    targets = re.findall(r"\]\(([^)\s]*)", metadata.get_payload())
    assert len(targets) >= 3
    assert [target for target in targets if not target.startswith("https://")] == []
    urls = dict(line.split(", ") for line in metadata.get_all("Project-URL"))
    places = (f"{urls['Homepage']}/blob/main/", f"{urls['Homepage']}/main/".replace("github.com", "raw.githubusercontent.com"))
    ours = [target.removeprefix(place) for target in [*targets, *urls.values()] for place in places if target.startswith(place)]
    assert [path for path in ours if not (ROOT / path).is_file()] == []
    assert {"bench/README.md", "bench/results/peers.png", "CHANGELOG.md"} <= set(ours)
