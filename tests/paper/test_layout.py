import pytest

from tiedlm.paper.layout import answered_for, checksum


def test_a_second_training_answers_for_the_first():
    assert answered_for(1) == ("config.json", "environment.json", "metrics.jsonl", "scores.json", "analysis.json")
    assert answered_for(2) == (*answered_for(1), "first-training/provenance.json")
    assert answered_for(3) == answered_for(2)


def test_the_first_version_has_no_analysis():
    assert answered_for(1, 1) == ("config.json", "environment.json", "metrics.jsonl", "scores.json")
    assert answered_for(2, 1) == (*answered_for(1, 1), "first-training/provenance.json")


def test_the_checksum_depends_on_every_field_but_itself_and_not_on_their_order():
    told = {"a": 1, "b": {"c": 2}}
    assert checksum({"b": {"c": 2}, "checksum": "x", "a": 1}) == checksum(told)


@pytest.mark.parametrize("changed", [{"a": 1, "b": {"c": 3}}, {"a": 1}, {"a": 1.0, "b": {"c": 2}}])
def test_another_content_has_another_checksum(changed):
    assert checksum(changed) != checksum({"a": 1, "b": {"c": 2}})
