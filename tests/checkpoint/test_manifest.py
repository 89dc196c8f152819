import hashlib
import json
from pathlib import Path

import pytest

from tiedlm.checkpoint.manifest import Entry, Manifest
from tiedlm.errors import RunError

MANIFEST = Manifest(
    commit=3,
    files={"config": Entry.of("config.json", b"{}"), "state": Entry.of("state-000003.safetensors", b"abc")},
    journal=Entry.of("journal.jsonl", b"{}\n"),
)
PATH = Path("somewhere/manifest.json")


def with_checksum(change):
    """The manifest as somebody would forge it: changed, with a checksum that agrees."""
    body = json.loads(MANIFEST.to_bytes())
    del body["checksum"]
    change(body)
    text = json.dumps(body, indent=2, sort_keys=True) + "\n"
    body["checksum"] = hashlib.sha256(text.encode()).hexdigest()
    return (json.dumps(body, indent=2, sort_keys=True) + "\n").encode()


def test_to_bytes_and_from_bytes_are_inverse():
    assert Manifest.from_bytes(MANIFEST.to_bytes(), PATH) == MANIFEST
    assert with_checksum(lambda body: None) == MANIFEST.to_bytes()


def test_an_entry_is_length_and_sha256():
    entry = Entry.of("config.json", b"abc")
    assert (entry.name, entry.bytes) == ("config.json", 3)
    assert entry.sha256 == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_a_wrong_content_is_told_with_what_was_expected_and_what_is_there(tmp_path):
    entry = Entry.of("config.json", b"abc")
    path = tmp_path / "config.json"
    path.write_bytes(b"abc")
    assert entry.read(tmp_path) == b"abc"
    path.write_bytes(b"ab")
    with pytest.raises(RunError, match=r"config.json is damaged .* 3 bytes were saved, but 2 are there.*Rest"):
        entry.read(tmp_path)
    path.write_bytes(b"abd")
    with pytest.raises(RunError, match=r"its sha256 should be ba7816[0-9a-f]{58}, but is a52d15[0-9a-f]{58}\. Nothing"):
        entry.read(tmp_path)


@pytest.mark.parametrize("bit", range(8))
def test_every_flipped_bit_is_detected(bit):
    content = MANIFEST.to_bytes()
    for place in range(len(content)):
        flipped = bytearray(content)
        flipped[place] ^= 1 << bit
        with pytest.raises(RunError, match=r"somewhere/manifest\.json"):
            Manifest.from_bytes(bytes(flipped), PATH)


def test_every_cut_and_every_added_byte_is_detected():
    content = MANIFEST.to_bytes()
    for end in range(len(content)):
        with pytest.raises(RunError, match="damaged"):
            Manifest.from_bytes(content[:end], PATH)
    for more in (b" ", b"\n", b"\0", content):
        with pytest.raises(RunError, match="damaged"):
            Manifest.from_bytes(content + more, PATH)


def test_an_edit_is_detected():
    with pytest.raises(RunError, match=r"was edited: it does not agree with its own checksum\. Nothing of it was used"):
        Manifest.from_bytes(MANIFEST.to_bytes().replace(b'"commit": 3', b'"commit": 4'), PATH)


def test_a_newer_version_says_so():
    newer = with_checksum(lambda body: body.update(version=2, files=[], more="fields"))
    with pytest.raises(RunError, match=r"is of version 2, but this tiedlm reads versions up to 1\. Install a newer"):
        Manifest.from_bytes(newer, PATH)


@pytest.mark.parametrize("version", [0, -1, None, "1", 1.5])
def test_a_version_that_was_never_written_is_damage(version):
    with pytest.raises(RunError, match="its version should be 1, but is"):
        Manifest.from_bytes(with_checksum(lambda body: body.update(version=version)), PATH)


@pytest.mark.parametrize("content", [b"[]", b"null", b"{}", b'{"format": "other", "version": 1}', b"7"])
def test_a_manifest_of_another_program_is_foreign(content):
    with pytest.raises(RunError, match="belongs to another program, or is damaged: its format should be 'tiedlm-run'"):
        Manifest.from_bytes(content, PATH)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"\0" * 40, b"[" * 100_000, b'{"format"', b"1" * 5000])
def test_what_is_not_json_is_damage(content):
    with pytest.raises(RunError, match="is damaged: it is not readable as JSON"):
        Manifest.from_bytes(content, PATH)


@pytest.mark.parametrize(
    "change",
    [
        lambda body: body.pop("files"),
        lambda body: body.pop("journal"),
        lambda body: body.pop("commit"),
        lambda body: body.update(files=[]),
        lambda body: body.update(files=None),
        lambda body: body.update(commit="3"),
        lambda body: body["journal"].update(name="../journal.jsonl"),
        lambda body: body["files"].update(config={"name": "config.json"}),
        lambda body: body["files"]["config"].update(bytes="2"),
        lambda body: body["files"]["config"].update(name="../../secret.json"),
        lambda body: body["files"]["state"].update(name="/etc/hostname"),
        lambda body: body["files"].update(other=body["files"]["state"]),
    ],
)
def test_a_forged_manifest_is_refused_even_with_a_checksum_that_agrees(change):
    with pytest.raises(RunError, match="its fields are not those of a manifest"):
        Manifest.from_bytes(with_checksum(change), PATH)


def test_read_tells_missing_file_and_foreign_apart(tmp_path):
    with pytest.raises(RunError, match=r"There is no run folder .*absent\. Check the name"):
        Manifest.read(tmp_path / "absent")
    (tmp_path / "file").write_text("text")
    with pytest.raises(RunError, match="file is a file, not a run folder"):
        Manifest.read(tmp_path / "file")
    (tmp_path / "foreign").mkdir()
    with pytest.raises(RunError, match=r"foreign is not a run folder: it has no manifest\.json"):
        Manifest.read(tmp_path / "foreign")


def test_read_suggests_the_nearest_run(tmp_path):
    (tmp_path / "ptb-small-real-seed-0").mkdir()
    (tmp_path / "ptb-small-real-seed-0" / "manifest.json").write_bytes(MANIFEST.to_bytes())
    with pytest.raises(RunError, match="Did you mean 'ptb-small-real-seed-0'"):
        Manifest.read(tmp_path / "ptb-small-real-sed-0")


def test_read_names_a_manifest_that_cannot_be_read(tmp_path):
    (tmp_path / "manifest.json").mkdir()
    with pytest.raises(RunError, match=r"manifest\.json cannot be read: it is not a regular file"):
        Manifest.read(tmp_path)
