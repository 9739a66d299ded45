"""Large files: how far they are, stopped between two chunks, and gone on with from there."""

import os
import threading
from pathlib import Path

import pytest
from huggingface_hub import constants

from generation import registry
from generation.errors import Cancelled
from generation.pipelines import fetching, locking
from generation.progress import Progress, Report, Stage
from tests.generation import hub

SPEC = registry.BUILTIN["sd-turbo"]
NAME = "somebody/weights"
LARGE, SMALL = "unet/large.safetensors", "unet/config.json"
SIZE = 3_000_000


@pytest.fixture
def folder(tmp_path) -> Path:
    (tmp_path / "far" / "unet").mkdir(parents=True)
    (tmp_path / "far" / LARGE).write_bytes(os.urandom(SIZE))
    (tmp_path / "far" / SMALL).write_text("{}")
    return tmp_path / "far"


@pytest.fixture
def far(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(fetching, "LARGE", 1_000_000)
    monkeypatch.setattr(fetching, "PAUSE", 0.01)
    monkeypatch.setattr(locking, "PAUSE", 0.01)
    with hub.serving_all({NAME: folder}) as served:
        look_at(served, monkeypatch)
        yield served


def look_at(served: hub.Hub, monkeypatch) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", served.address)
    template = f"{served.address}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)


def stopped_after(size: int, heard: list[Progress]) -> Report:
    """A report that stops whoever tells it, once so many bytes have come."""
    return Report(SPEC, heard.append, lambda: bool(heard) and heard[-1].done >= size)


def parts(tmp_path: Path) -> list[Path]:
    return [path for path in (tmp_path / "cache").rglob("*") if path.suffix in (".part", ".incomplete")]


def test_progress_is_in_bytes_and_ends_at_the_total(far, folder, tmp_path):
    heard: list[Progress] = []
    rooms: list[float] = []
    found = fetching.snapshot(NAME, Report(SPEC, heard.append), rooms.append)
    assert (found / LARGE).read_bytes() == (folder / LARGE).read_bytes()
    assert (found / SMALL).read_text() == "{}"
    assert rooms == [pytest.approx((SIZE + 2) / 1e9)]
    assert {(one.stage, one.total) for one in heard} == {(Stage.FETCHING, SIZE + 2)}
    done = [one.done for one in heard]
    assert done == sorted(done)
    assert done[0] == 0
    assert done[-1] == SIZE
    assert len(done) > 5
    assert not parts(tmp_path)
    heard.clear()
    assert fetching.snapshot(NAME, Report(SPEC, heard.append)) == found
    assert not heard
    assert far.sent.count(f"{NAME}/{LARGE}") == 1


def test_a_stopped_download_goes_on_where_it_was(far, folder, tmp_path):
    heard: list[Progress] = []
    with pytest.raises(Cancelled):
        fetching.snapshot(NAME, stopped_after(1_000_000, heard))
    assert 1_000_000 <= heard[-1].done < SIZE
    (part,) = parts(tmp_path)
    had = part.stat().st_size
    assert had >= 1_000_000
    assert not list((tmp_path / "cache").rglob("large.safetensors"))  # nothing looks complete
    rooms: list[float] = []
    found = fetching.snapshot(NAME, Report(SPEC), rooms.append)
    assert (found / LARGE).read_bytes() == (folder / LARGE).read_bytes()
    assert far.resumed == [(f"{NAME}/{LARGE}", had)]
    assert rooms == [pytest.approx((SIZE + 2 - had) / 1e9)]
    assert not parts(tmp_path)


@pytest.mark.parametrize("damage", ["other bytes", "too many bytes"])
def test_what_is_damaged_is_not_taken_for_the_file(far, folder, tmp_path, damage):
    with pytest.raises(Cancelled):
        fetching.snapshot(NAME, stopped_after(1_000_000, []))
    (part,) = parts(tmp_path)
    part.write_bytes(b"x" * (SIZE // 2 if damage == "other bytes" else 2 * SIZE))
    if damage == "other bytes":
        with pytest.raises(OSError, match="arrived damaged"):
            fetching.snapshot(NAME, Report(SPEC))
    found = fetching.snapshot(NAME, Report(SPEC))
    assert (found / LARGE).read_bytes() == (folder / LARGE).read_bytes()


def test_two_at_once_fetch_it_once_and_who_waits_can_be_stopped(far, folder):
    begun, go_on = threading.Event(), threading.Event()

    def first_heard(progress: Progress) -> None:
        if progress.done:
            begun.set()
            assert go_on.wait(60)

    first = threading.Thread(target=fetching.snapshot, args=(NAME, Report(SPEC, first_heard)))
    first.start()
    assert begun.wait(60)
    waits: list[Progress] = []
    with pytest.raises(Cancelled):
        fetching.snapshot(NAME, Report(SPEC, waits.append, lambda: len(waits) == 3))
    go_on.set()
    found = fetching.snapshot(NAME, Report(SPEC))
    first.join()
    assert (found / LARGE).read_bytes() == (folder / LARGE).read_bytes()
    assert far.sent.count(f"{NAME}/{LARGE}") == 1


def test_a_connection_that_breaks_off_is_taken_up_again(folder, tmp_path, monkeypatch, far):
    with hub.serving_all({NAME: folder}, cut=True) as cutting:
        look_at(cutting, monkeypatch)
        found = fetching.snapshot(NAME, Report(SPEC))  # 20,000 bytes at a time
        assert (found / LARGE).read_bytes() == (folder / LARGE).read_bytes()
        assert len(cutting.resumed) >= SIZE // 20_000 - 1


def test_an_estimate_comes_when_the_speed_is_known(monkeypatch):
    clock = [100.0]
    monkeypatch.setattr("generation.progress.time.monotonic", lambda: clock[0])
    heard: list[Progress] = []
    report = Report(SPEC, heard.append)
    for done in (500, 600, 700):
        report.tell(Stage.FETCHING, done, 1000)
        clock[0] += 5.0
    assert [one.seconds_left for one in heard] == [None, 20, 15]
    report.tell(Stage.CONVERTING, 0, 10)
    assert heard[-1].seconds_left is None
    assert str(heard[1]) == "fetching 0.00 of 0.00 GB, about 20 s left"
    assert str(heard[-1]) == "converting 0 of 10 parts"
