from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from support.web import Site, served
from tiedlm.corpora.encode import SPLITS, encode
from tiedlm.corpora.fetch import check_counts, fetch
from tiedlm.corpora.sources import SOURCES, Source, SourceFile
from tiedlm.errors import CorpusError

TEXTS = {"train": b"a b\nc a\n", "valid": b"a\n", "test": b"\nb\n"}
HINT = (
    " Or put tiny/tiny.train.txt, tiny/tiny.valid.txt, tiny/tiny.test.txt into a folder and name it with --data-dir or "
    "TIEDLM_DATA_DIR."
)


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def zipped() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for split, content in TEXTS.items():
            file.writestr(f"tiny/tiny.{split}.tokens", content)
    return buffer.getvalue()


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with served() as site:
        site.contents = {f"/tiny.{split}.txt": content for split, content in TEXTS.items()}
        site.contents["/tiny.zip"] = zipped()
        yield site


def source_of(site: Site, archive: bool = False) -> Source:
    files = {
        split: SourceFile(
            sha256=digest(content),
            size_bytes=len(content),
            names=(f"tiny/tiny.{split}.txt", f"tiny.{split}.txt"),
            address=f"{site.address}/tiny.zip" if archive else f"{site.address}/tiny.{split}.txt",
            member=f"tiny/tiny.{split}.tokens" if archive else None,
            lines=content.count(b"\n"),
            words=len(content.split()),
        )
        for split, content in TEXTS.items()
    }
    sha256 = digest(site.contents["/tiny.zip"]) if archive else None
    return Source(name="tiny", title="Tiny", licence="Free.", files=files, archive_sha256=sha256, types=4)


def write(folder: Path, name: str) -> None:
    for split, content in TEXTS.items():
        path = folder / name.format(split)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


@pytest.mark.parametrize("name", ["tiny/tiny.{}.txt", "tiny.{}.txt"])
def test_texts_that_are_there_are_found_under_each_spelling(site: Site, tmp_path: Path, name: str) -> None:
    write(tmp_path, name)
    progress: list[str] = []
    texts = fetch(source_of(site), tmp_path, progress.append)
    assert texts == {split: tmp_path / name.format(split) for split in SPLITS}
    assert progress == []
    assert site.asked == []


@pytest.mark.parametrize("archive", [False, True])
def test_missing_texts_are_downloaded_once(site: Site, tmp_path: Path, archive: bool) -> None:
    progress: list[str] = []
    source = source_of(site, archive)
    texts = fetch(source, tmp_path / "data", progress.append)
    assert {split: path.read_bytes() for split, path in texts.items()} == TEXTS
    assert sorted(path.name for path in (tmp_path / "data" / "tiny").iterdir()) == sorted(
        f"tiny.{split}.txt" for split in SPLITS
    )
    assert progress[0] == f"Downloading Tiny to {tmp_path / 'data' / 'tiny'}. Free."
    asked = len(site.asked)
    assert asked == (1 if archive else 3)
    assert fetch(source, tmp_path / "data", progress.append) == texts
    assert len(site.asked) == asked


def test_only_what_is_missing_is_downloaded(site: Site, tmp_path: Path) -> None:
    write(tmp_path, "tiny.{}.txt")
    (tmp_path / "tiny.valid.txt").unlink()
    texts = fetch(source_of(site), tmp_path, lambda line: None)
    assert site.asked == ["/tiny.valid.txt"]
    assert texts["valid"] == tmp_path / "tiny" / "tiny.valid.txt"
    assert texts["train"] == tmp_path / "tiny.train.txt"


def test_a_text_with_another_content_is_an_error_and_stays(site: Site, tmp_path: Path) -> None:
    write(tmp_path, "tiny.{}.txt")
    path = tmp_path / "tiny.test.txt"
    edited = b"edited\n"
    path.write_bytes(edited)
    with pytest.raises(CorpusError) as raised:
        fetch(source_of(site), tmp_path, lambda line: None)
    assert str(raised.value) == (
        f"{path} is not the published text of tiny: it has 7 bytes and the sha256 {digest(edited)}, but must have "
        f"3 bytes and {digest(TEXTS['test'])}. Put the published file there, or move this one away to have it "
        "downloaded; for a text of your own use --corpus.name text."
    )
    assert path.read_bytes() == edited
    assert site.asked == []


@pytest.mark.parametrize("archive", [False, True])
def test_a_failed_download_says_how_to_do_without(site: Site, tmp_path: Path, archive: bool) -> None:
    source = source_of(site, archive)
    site.cut = True
    with pytest.raises(CorpusError) as raised:
        fetch(source, tmp_path, lambda line: None)
    address = source.files["train"].address
    assert str(raised.value) == (f"The download of {address} failed: it was cut before its end. Try again later.{HINT}")
    assert list(tmp_path.glob("**/*.*")) == []
    site.cut = False
    assert fetch(source, tmp_path, lambda line: None)["train"].read_bytes() == TEXTS["train"]


def test_an_archive_with_a_wrong_member_leaves_no_archive(site: Site, tmp_path: Path) -> None:
    source = source_of(site, archive=True)
    wrong = replace(source, files={**source.files, "test": replace(source.files["test"], sha256="0" * 64)})
    with pytest.raises(CorpusError, match=r"^tiny/tiny\.test\.tokens in .* expected 0{64}\. Or put tiny/tiny\.train"):
        fetch(wrong, tmp_path, lambda line: None)
    assert not list(tmp_path.glob("**/*.zip*"))


def test_an_archive_of_the_users_is_left_alone(site: Site, tmp_path: Path) -> None:
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / "tiny.zip").write_bytes(b"mine")
    fetch(source_of(site, archive=True), tmp_path, lambda line: None)
    assert (tmp_path / "tiny" / "tiny.zip").read_bytes() == b"mine"


def test_counts_are_held_against_the_published_ones(site: Site, tmp_path: Path) -> None:
    write(tmp_path, "tiny.{}.txt")
    source = source_of(site)
    encoded = encode(fetch(source, tmp_path, print), None, tmp_path, lambda line: None, print)
    with pytest.raises(CorpusError) as raised:
        check_counts(source, encoded, whole_vocabulary=True)
    assert str(raised.value) == "tiny has 5 distinct words, but 4 are published. Please report this."
    check_counts(source, encoded, whole_vocabulary=False)
    check_counts(replace(source, types=5), encoded, whole_vocabulary=True)
    for change in ({"lines": 3}, {"words": 3}, {"lines": 3, "words": 0}):
        test = replace(source.files["test"], **change)
        with pytest.raises(CorpusError) as raised:
            check_counts(replace(source, files={**source.files, "test": test}), encoded, whole_vocabulary=False)
        assert str(raised.value) == (
            "The test text of tiny counts 2 lines and 3 words with `<eos>`, but "
            f"{test.lines} and {test.words + test.lines} are published. Please report this."
        )


@pytest.mark.parametrize("name", SOURCES)
def test_the_published_texts_are_found(data_dir: Path, name: str) -> None:
    texts = fetch(SOURCES[name], data_dir, pytest.fail)
    assert [path.parent for path in texts.values()] == [data_dir / name] * 3


@pytest.mark.parametrize("name", ["wikitext-2/wiki.{}.tokens", "wiki.{}.tokens"])
def test_wikitext_is_found_under_the_names_of_its_archive(data_dir: Path, tmp_path: Path, name: str) -> None:
    for split in SPLITS:
        target = tmp_path / name.format(split)
        target.parent.mkdir(exist_ok=True)
        target.symlink_to(data_dir / "wikitext-2" / f"{split}.txt")
    texts = fetch(SOURCES["wikitext-2"], tmp_path, pytest.fail)
    assert texts == {split: tmp_path / name.format(split) for split in SPLITS}
