import pytest

from tiedlm.checkpoint import roles
from tiedlm.errors import ArgumentError


@pytest.mark.parametrize("role", roles.ROLES)
@pytest.mark.parametrize("commit", [0, 13, 999_999, 1_000_000])
def test_a_name_belongs_to_its_role_and_to_no_other(role, commit):
    name = roles.file_name(role, commit)
    assert [other for other in roles.ROLES if roles.is_name_of(other, name)] == [role]


def test_names():
    assert roles.file_name("config", 13) == "config.json"
    assert roles.file_name("state", 13) == "state-000013.safetensors"
    assert roles.file_name("progress", 13) == "progress-000013.json"


@pytest.mark.parametrize(
    "name",
    ["../state-000001.safetensors", "/state-000001.safetensors", "state.safetensors", "state-1.safetensors", "",
     "state-000001.safetensors\n", "state-00000١.safetensors", "state-000001.json", "state-000001.safetensors.9"],
)  # fmt: skip
def test_no_other_name_plays_a_role(name):
    assert not roles.is_name_of("state", name)


def test_an_unknown_role_is_refused_with_the_nearest():
    roles.check_role("weights")
    with pytest.raises(ArgumentError, match=r"no role 'weight'\. Did you mean 'weights'\? Roles: config, "):
        roles.check_role("weight")


@pytest.mark.parametrize(
    "name",
    ["state-000013.safetensors", "progress-000013.json.77.partial", "manifest.json.77.partial", "scores-1000000.json"],
)
def test_what_a_save_writes_may_be_swept(name):
    assert roles.may_be_leftover(name)


@pytest.mark.parametrize(
    "name",
    ["manifest.json", "config.json", "vocabulary.json", "environment.json", "journal.jsonl", ".lock", "notes.txt",
     "state-final.safetensors", "state-000013.safetensors.bak", "my-state-000013.safetensors", "notes.partial"],
)  # fmt: skip
def test_what_a_save_does_not_write_is_never_swept(name):
    assert not roles.may_be_leftover(name)
