from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.web import Site, served
from tiedlm.corpora import download as module
from tiedlm.corpora.download import download, extract
from tiedlm.errors import CorpusError

CONTENT = b"some words\n" * 100_000
HINT = " Or put it into a folder."


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with served() as site:
        site.contents["/a.txt"] = CONTENT
        yield site


def ask(site: Site, target: Path, sha256: str = digest(CONTENT), path: str = "/a.txt") -> list[str]:
    progress: list[str] = []
    download(site.address + path, sha256, target, progress.append, HINT)
    return progress


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def test_a_download_is_checked_and_published_with_progress(site: Site, tmp_path: Path) -> None:
    progress = ask(site, tmp_path / "new" / "a.txt")
    assert (tmp_path / "new" / "a.txt").read_bytes() == CONTENT
    assert names(tmp_path / "new") == ["a.txt"]
    assert progress[-1] == f"Downloading {site.address}/a.txt: 1.1 of 1.1 MB"
    assert 5 <= len(progress) <= 11
    assert site.agents == ["tiedlm"]


def test_a_wrong_checksum(site: Site, tmp_path: Path) -> None:
    with pytest.raises(CorpusError) as raised:
        ask(site, tmp_path / "a.txt", sha256="0" * 64)
    assert str(raised.value) == (
        f"{site.address}/a.txt now gives another content than the published one (sha256 {digest(CONTENT)}, expected "
        f"{'0' * 64}), so it was thrown away.{HINT}"
    )
    assert names(tmp_path) == []


def test_a_cut_download_leaves_nothing_and_starts_anew(site: Site, tmp_path: Path) -> None:
    site.cut = True
    with pytest.raises(CorpusError) as raised:
        ask(site, tmp_path / "a.txt")
    assert str(raised.value) == (
        f"The download of {site.address}/a.txt failed: it was cut before its end. Try again later.{HINT}"
    )
    assert names(tmp_path) == []
    site.cut = False
    ask(site, tmp_path / "a.txt")
    assert (tmp_path / "a.txt").read_bytes() == CONTENT


def test_a_failed_download_leaves_the_old_file(site: Site, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("old")
    site.cut = True
    with pytest.raises(CorpusError):
        ask(site, tmp_path / "a.txt")
    assert (tmp_path / "a.txt").read_text() == "old"


def test_an_address_that_is_not_found(site: Site, tmp_path: Path) -> None:
    with pytest.raises(CorpusError) as raised:
        ask(site, tmp_path / "a.txt", path="/b.txt")
    assert str(raised.value) == (
        f"The download of {site.address}/b.txt failed: the server answers 404 Not Found. Try again later.{HINT}"
    )


def test_no_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with served() as gone:
        pass
    with pytest.raises(CorpusError) as raised:
        ask(gone, tmp_path / "a.txt")
    assert str(raised.value) == (
        f"The download of {gone.address}/a.txt failed: the server cannot be reached, or there is no network. "
        f"Try again later.{HINT}"
    )
    assert names(tmp_path) == []


def test_a_server_that_never_answers(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TIMEOUT_SECONDS", 0.2)
    site.silent = True
    with pytest.raises(CorpusError) as raised:
        ask(site, tmp_path / "a.txt")
    assert str(raised.value) == (
        f"The download of {site.address}/a.txt failed: no answer within 0.2 seconds. Try again later.{HINT}"
    )


def test_a_folder_that_cannot_be_written(site: Site, tmp_path: Path) -> None:
    (tmp_path / "x").write_text("")
    with pytest.raises(CorpusError) as raised:
        ask(site, tmp_path / "x" / "a.txt")
    assert str(raised.value) == f"{tmp_path / 'x' / 'a.txt'} cannot be written: File exists.{HINT}"
    assert site.asked == []


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("in/a.txt", CONTENT)
        file.writestr("../b.txt", "never written")
    return path


def test_one_member_is_extracted_and_nothing_else(archive: Path, tmp_path: Path) -> None:
    extract(archive, "in/a.txt", digest(CONTENT), tmp_path / "out" / "a.txt", HINT)
    assert (tmp_path / "out" / "a.txt").read_bytes() == CONTENT
    assert sorted(names(tmp_path)) == ["a.zip", "out"]
    assert names(tmp_path / "out") == ["a.txt"]


def test_a_member_with_another_content(archive: Path, tmp_path: Path) -> None:
    with pytest.raises(CorpusError) as raised:
        extract(archive, "in/a.txt", "0" * 64, tmp_path / "out" / "a.txt", HINT)
    assert str(raised.value) == f"in/a.txt in {archive} has the sha256 {digest(CONTENT)}, expected {'0' * 64}.{HINT}"
    assert names(tmp_path / "out") == []


def test_an_archive_without_the_member(archive: Path, tmp_path: Path) -> None:
    with pytest.raises(CorpusError) as raised:
        extract(archive, "in/c.txt", digest(CONTENT), tmp_path / "c.txt", HINT)
    assert str(raised.value) == f"{archive} is damaged or lacks in/c.txt.{HINT}"


@pytest.mark.parametrize("damage", [lambda content: content[:400], lambda content: b"x" + content[1:40], bytes.upper])
def test_a_damaged_archive(archive: Path, tmp_path: Path, damage: object) -> None:
    archive.write_bytes(damage(archive.read_bytes()))  # pyright: ignore[reportCallIssue]
    with pytest.raises(CorpusError) as raised:
        extract(archive, "in/a.txt", digest(CONTENT), tmp_path / "out" / "a.txt", HINT)
    assert str(raised.value) == f"{archive} is damaged or lacks in/a.txt.{HINT}"
    assert not (tmp_path / "out" / "a.txt").exists()


def test_a_missing_archive(tmp_path: Path) -> None:
    with pytest.raises(CorpusError) as raised:
        extract(tmp_path / "a.zip", "in/a.txt", "0" * 64, tmp_path / "a.txt", HINT)
    assert str(raised.value) == (
        f"{tmp_path / 'a.txt'} cannot be written from {tmp_path / 'a.zip'}: No such file or directory.{HINT}"
    )
