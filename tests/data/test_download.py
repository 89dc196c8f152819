"""Published corpora: found in the data folder or downloaded from a server of this machine, and checked."""

import hashlib
import io
import threading
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tiedlm.data import corpus
from tiedlm.data.corpus import find_or_fetch
from tiedlm.data.sources import SOURCES, SPLITS, Source, SourceFile
from tiedlm.errors import CorpusError

TEXTS = {"train": b"a b\nc a\n" * 1000, "valid": b"a\n", "test": b"\nb\n"}
HINT = (
    "Or put tiny/tiny.train.txt, tiny/tiny.valid.txt, tiny/tiny.test.txt into a folder and pass it with --data-dir or "
    "TIEDLM_DATA_DIR."
)


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@dataclass
class Site:
    """What a server serves and how it behaves."""

    url: str
    contents: dict[str, bytes]
    behaviour: str = "whole"
    """Or `cut`, `silent`, `other`, `slow`, `endless`."""
    requests: list[str] = field(default_factory=list)


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    stop = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            site.requests.append(self.path)
            assert self.headers["User-Agent"] == "tiedlm"
            if site.behaviour == "silent":
                stop.wait(10)
                return
            if self.path not in site.contents:
                self.send_error(404)
                return
            content = b"something else" if site.behaviour == "other" else site.contents[self.path]
            self.send_response(200)
            if site.behaviour not in ("slow", "endless"):
                self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            with suppress(ConnectionError):
                while site.behaviour in ("slow", "endless") and not stop.wait(0.05 * (site.behaviour == "slow")):
                    self.wfile.write(bytes(512))
            self.wfile.write(content[: len(content) // 2] if site.behaviour == "cut" else content)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for split, content in TEXTS.items():
            file.writestr(f"tiny/tiny.{split}.tokens", content)
        file.writestr("../outside.txt", "never written")
    site = Site(
        f"http://127.0.0.1:{server.server_port}",
        {"/tiny.zip": archive.getvalue(), **{f"/tiny.{split}.txt": content for split, content in TEXTS.items()}},
    )
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield site
    stop.set()
    server.shutdown()
    thread.join()
    server.server_close()


def tiny(site: Site, archive: bool = False) -> Source:
    files = {
        split: SourceFile(
            sha256=digest(content),
            size_bytes=len(content),
            names=(f"tiny/tiny.{split}.txt", f"tiny.{split}.txt"),
            url=f"{site.url}/tiny.zip" if archive else f"{site.url}/tiny.{split}.txt",
            member=f"tiny/tiny.{split}.tokens" if archive else None,
            lines=content.count(b"\n"),
            words=len(content.split()),
        )
        for split, content in TEXTS.items()
    }
    sha256 = digest(site.contents["/tiny.zip"]) if archive else None
    return Source(name="tiny", title="Tiny", licence="Free.", files=files, archive_sha256=sha256, vocab_size=4)


def write(folder: Path, name: str) -> None:
    for split, content in TEXTS.items():
        path = folder / name.format(split)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def fails(source: Source, folder: Path) -> str:
    with pytest.raises(CorpusError) as raised:
        find_or_fetch(source, folder, lambda line: None)
    return str(raised.value)


@pytest.mark.parametrize("name", ["tiny/tiny.{}.txt", "tiny.{}.txt"])
def test_texts_that_are_there_are_used_under_each_name(site: Site, tmp_path: Path, name: str) -> None:
    write(tmp_path, name)
    texts = find_or_fetch(tiny(site), tmp_path, pytest.fail)
    assert texts == {split: tmp_path / name.format(split) for split in SPLITS}
    assert site.requests == []


@pytest.mark.parametrize("archive", [False, True])
def test_missing_texts_are_downloaded_once(site: Site, tmp_path: Path, archive: bool) -> None:
    progress: list[str] = []
    texts = find_or_fetch(tiny(site, archive), tmp_path / "new", progress.append)
    assert {split: path.read_bytes() for split, path in texts.items()} == TEXTS
    assert sorted((tmp_path / "new").rglob("*.*")) == sorted(texts.values())
    assert {path.stat().st_mode & 0o777 for path in texts.values()} == {0o644}
    assert progress == [f"Downloading Tiny to {tmp_path / 'new' / 'tiny'}. Free."]
    assert len(site.requests) == (1 if archive else 3)
    assert find_or_fetch(tiny(site, archive), tmp_path / "new", pytest.fail) == texts
    assert len(site.requests) == (1 if archive else 3)


def test_only_what_is_missing_is_downloaded(site: Site, tmp_path: Path) -> None:
    write(tmp_path, "tiny.{}.txt")
    (tmp_path / "tiny.valid.txt").unlink()
    texts = find_or_fetch(tiny(site), tmp_path, lambda line: None)
    assert site.requests == ["/tiny.valid.txt"]
    assert texts["valid"] == tmp_path / "tiny" / "tiny.valid.txt"
    assert texts["train"] == tmp_path / "tiny.train.txt"


def test_a_text_with_another_content_is_an_error_and_stays(site: Site, tmp_path: Path) -> None:
    content = b"\nc\n"
    write(tmp_path, "tiny.{}.txt")
    path = tmp_path / "tiny.test.txt"
    path.write_bytes(content)
    assert fails(tiny(site), tmp_path) == (
        f"{path} ({len(content)} bytes) is not the published text of tiny, which has 3 bytes and the sha256 "
        f"{digest(TEXTS['test'])}. Put the published file there, or move this one away to have it downloaded; for a "
        "text of your own use --corpus.name text."
    )
    assert path.read_bytes() == content
    assert site.requests == []


@pytest.mark.parametrize(
    ("archive", "behaviour", "reason"),
    [
        (True, "cut", "The download of {} failed: it was cut before its end. Try again later."),
        (False, "silent", "The download of {} failed: no answer within 0.2 seconds. Try again later."),
        (
            False,
            "slow",
            "The download of {} failed: it was not complete after 1 seconds or 1,000,000 bytes. Try again later.",
        ),
        (
            True,
            "endless",
            "The download of {} failed: it was not complete after 60 seconds or 100,000 bytes. Try again later.",
        ),
        (False, "other", "{} no longer has the published content (its sha256 differs)."),
    ],
)
def test_a_failed_download_leaves_nothing_and_can_be_repeated(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, archive: bool, behaviour: str, reason: str
) -> None:
    monkeypatch.setattr(corpus, "TIMEOUT_SECONDS", 0.2 if behaviour == "silent" else 30)
    monkeypatch.setattr(corpus, "MAX_SECONDS", 1 if behaviour == "slow" else 60)
    monkeypatch.setattr(corpus, "MAX_BYTES", 100_000 if behaviour == "endless" else 1_000_000)
    source = tiny(site, archive)
    site.behaviour = behaviour
    assert fails(source, tmp_path) == f"{reason.format(source.files['train'].url)} {HINT}"
    assert list(tmp_path.rglob("*.*")) == []
    site.behaviour = "whole"
    monkeypatch.setattr(corpus, "TIMEOUT_SECONDS", 30)
    monkeypatch.setattr(corpus, "MAX_SECONDS", 60)
    assert find_or_fetch(source, tmp_path, lambda line: None)["train"].read_bytes() == TEXTS["train"]


def test_a_server_that_lacks_the_file_or_is_gone(site: Site, tmp_path: Path) -> None:
    source = tiny(site)
    del site.contents["/tiny.train.txt"]
    assert f"/tiny.train.txt failed: the server answers 404 Not Found. Try again later. {HINT}" in fails(
        source, tmp_path
    )
    nowhere = {split: replace(file, url="http://127.0.0.1:9/x") for split, file in source.files.items()}
    message = fails(replace(source, files=nowhere), tmp_path)
    assert "http://127.0.0.1:9/x failed: the server cannot be reached, or there is no network." in message


def test_a_folder_that_cannot_be_written(site: Site, tmp_path: Path) -> None:
    (tmp_path / "tiny").write_text("a file")
    assert fails(tiny(site), tmp_path) == f"{tmp_path / 'tiny'} cannot be written: Not a directory. {HINT}"
    assert site.requests == []


def test_an_archive_of_the_users_is_left_alone(site: Site, tmp_path: Path) -> None:
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / "tiny.zip").write_bytes(b"mine")
    find_or_fetch(tiny(site, archive=True), tmp_path, lambda line: None)
    assert (tmp_path / "tiny" / "tiny.zip").read_bytes() == b"mine"


@pytest.mark.parametrize("name", ["wikitext-2/wiki.{}.tokens", "wiki.{}.tokens"])
def test_wikitext_is_found_under_the_names_in_its_archive(data_dir: Path, tmp_path: Path, name: str) -> None:
    for split in SPLITS:
        target = tmp_path / name.format(split)
        target.parent.mkdir(exist_ok=True)
        target.symlink_to(data_dir / "wikitext-2" / f"{split}.txt")
    texts = find_or_fetch(SOURCES["wikitext-2"], tmp_path, pytest.fail)
    assert texts == {split: tmp_path / name.format(split) for split in SPLITS}
