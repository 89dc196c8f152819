"""Which jobs are started when, and what becomes of the others."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from support.finished_run import EPOCHS, make_run, recipe_config
from tiedlm.launching.fleet import Fleet
from tiedlm.launching.job import State

WAITS = "import sys, time; open(sys.argv[1] + '.began', 'w').close(); time.sleep(300)"


def fleet(jobs, slots=1):
    return Fleet(jobs, slots=slots, threads=1, patience_seconds=60.0)


def work(fleet):
    """Start what can be started until nothing is left, and return what became of all."""
    while not fleet.is_over:
        fleet.start()
        fleet.collect()
        time.sleep(0.01)
    return [(outcome.job.name, outcome.state) for outcome in fleet.outcomes()]


def states(fleet):
    return [outcome.state for outcome in fleet.outcomes()]


def test_no_more_run_at_once_than_there_are_slots_and_in_order(make_job, scripts):
    jobs = [make_job(name) for name in "abc"]
    scripts |= dict.fromkeys("abc", WAITS)
    with fleet(jobs, slots=2) as few:
        few.start()
        few.start()
        assert states(few) == [State.TRAINING, State.TRAINING, State.WAITING]
        few.stop("the time is up")
        assert not few.is_over
    assert few.is_over
    assert states(few) == [State.STOPPED, State.STOPPED, State.WAITING]
    assert few.outcomes()[2].reason == "the time is up"


def test_a_finished_run_has_no_process_and_shows_where_it_ended(make_job, scripts):
    job = replace(make_job("a"), config=recipe_config())
    make_run(job.run_dir)
    with fleet([job]) as done:
        assert done.is_over
        assert states(done) == [State.FINISHED]
        [row] = done.rows()
        assert row.standing is not None
        assert (row.standing.epoch, row.standing.best_valid_perplexity) == (EPOCHS, 200.0 - EPOCHS)


def test_a_failure_leaves_the_others_alone(make_job, scripts):
    scripts |= {"a": "import sys; sys.exit(2)", "b": "", "c": ""}
    with fleet([make_job(name) for name in "abc"]) as three:
        assert work(three) == [("a", State.FAILED), ("b", State.FINISHED), ("c", State.FINISHED)]


def test_a_second_training_waits_for_its_first(make_job, scripts, tmp_path):
    scripts["one"] = "import sys, time; time.sleep(0.1); open(sys.argv[1] + '.done', 'w').close()"
    scripts["two"] = "import sys, os; sys.exit(not os.path.exists(sys.argv[1].replace('/two', '/one.done')))"
    jobs = [make_job("two", start_from="one"), make_job("one")]
    with fleet(jobs, slots=2) as two:
        assert work(two) == [("two", State.FINISHED), ("one", State.FINISHED)]


def test_and_does_not_begin_where_that_failed(make_job, scripts):
    scripts["one"] = "import sys; sys.exit(2)"
    with fleet([make_job("two", start_from="one"), make_job("one")]) as two:
        assert work(two) == [("two", State.WAITING), ("one", State.FAILED)]
        assert "one, which it starts from, is not finished" in (two.outcomes()[0].reason or "")


def test_an_error_here_ends_the_processes(make_job, scripts, tmp_path):
    scripts["a"] = WAITS
    few = fleet([make_job("a")])

    def start_and_fail():
        few.start()
        while not (tmp_path / "a.began").exists():
            time.sleep(0.01)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), few:
        start_and_fail()
    assert states(few) == [State.STOPPED]
