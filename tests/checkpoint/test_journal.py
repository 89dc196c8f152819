import pytest

from tiedlm.checkpoint.journal import Journal
from tiedlm.checkpoint.manifest import Entry
from tiedlm.errors import ArgumentError, RunError


@pytest.fixture
def journal(tmp_path):
    """A journal with two lines that count."""
    path = tmp_path / "journal.jsonl"
    path.write_bytes(b"")
    journal = Journal(path, Entry.of("journal.jsonl", b""))
    journal.append({"epoch": 1})
    journal.append({"epoch": 2})
    journal.committed = journal.flushed_entry()
    return journal


def test_a_record_is_a_line_that_other_processes_see_at_once(journal):
    assert journal.path.read_bytes() == b'{"epoch": 1}\n{"epoch": 2}\n'


@pytest.mark.parametrize(
    "record", [{"text": "a\nb\r\u2028\u2029\x85\x0b\x00é\ud800"}, {"nested": {"list": [1, None, 0.1]}}]
)
def test_any_record_is_one_line_and_comes_back(journal, record):
    journal.append(record)
    journal.committed = journal.flushed_entry()
    assert journal.path.read_bytes().count(b"\n") == 3
    assert journal.records() == [{"epoch": 1}, {"epoch": 2}, record]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), {1, 2}, b"bytes"])
def test_a_record_that_is_not_json_is_refused_and_leaves_no_trace(journal, value):
    before = journal.path.read_bytes()
    with pytest.raises(
        ArgumentError, match=r"A record of the journal must be JSON, but .* is not .* as a text or None"
    ):
        journal.append({"value": value})
    assert journal.path.read_bytes() == before


def test_lines_that_were_not_committed_do_not_count(journal):
    journal.append({"epoch": 3})
    assert journal.records() == [{"epoch": 1}, {"epoch": 2}]


@pytest.mark.parametrize("tail", [b"", b'{"epoch": 3}\n', b'{"epo', b"\0\xff" * 5000])
def test_rewind_cuts_off_exactly_what_does_not_count(journal, tail):
    with journal.path.open("ab") as file:
        file.write(tail)
    journal.rewind()
    assert journal.path.read_bytes() == b'{"epoch": 1}\n{"epoch": 2}\n'


def test_a_cut_or_flipped_journal_is_never_used(journal):
    content = journal.path.read_bytes()
    damaged = [content[:end] for end in range(len(content))]
    damaged += [content[:i] + bytes([content[i] ^ 1]) + content[i + 1 :] + b"tail" for i in range(len(content))]
    for wrong in damaged:
        journal.path.write_bytes(wrong)
        with pytest.raises(RunError, match=r"journal\.jsonl is damaged or was edited"):
            journal.rewind()
        with pytest.raises(RunError, match=r"journal\.jsonl is damaged or was edited"):
            journal.records()
        assert journal.path.read_bytes() == wrong


def test_a_missing_journal_is_named(journal):
    journal.path.unlink()
    with pytest.raises(RunError, match=r"journal\.jsonl is missing"):
        journal.rewind()
    with pytest.raises(RunError, match=r"journal\.jsonl could not be saved: No such file"):
        journal.append({"epoch": 3})


def test_a_committed_line_that_is_not_json_is_named(tmp_path):
    path = tmp_path / "journal.jsonl"
    path.write_bytes(b"no json\n")
    with pytest.raises(RunError, match="a line is not readable as JSON"):
        Journal(path, Entry.of("journal.jsonl", b"no json\n")).records()
