"""How many trainings at once, and their threads."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import pytest

from tiedlm.errors import ArgumentError
from tiedlm.launching import share
from tiedlm.launching.job import Job
from tiedlm.launching.share import ON_ONE_GPU, cores, slots_for, threads_for


def jobs(make_job, count: int, **runtime) -> list[Job]:
    made = [make_job(f"run-{number}") for number in range(count)]
    return [
        replace(job, config=replace(job.config, runtime=replace(job.config.runtime, threads=None, **runtime)))
        if "threads" not in runtime
        else replace(job, config=replace(job.config, runtime=replace(job.config.runtime, **runtime)))
        for job in made
    ]


@pytest.fixture(autouse=True)
def eight_cores(monkeypatch):
    monkeypatch.setattr(share, "cores", lambda: 8)


def test_one_a_core_and_no_more_than_there_are_jobs(make_job):
    assert slots_for(jobs(make_job, 20)) == 8
    assert slots_for(jobs(make_job, 3)) == 3
    assert slots_for(jobs(make_job, 20, threads=3)) == 2
    assert slots_for(jobs(make_job, 20, threads=16)) == 1


def test_several_on_a_gpu(make_job):
    assert slots_for(jobs(make_job, 20, device="cuda")) == ON_ONE_GPU
    assert slots_for(jobs(make_job, 20, device="cuda:1", threads=4)) == 2


def test_the_number_asked_for_is_taken(make_job):
    assert slots_for(jobs(make_job, 20, device="cuda"), 12) == 12
    assert slots_for(jobs(make_job, 2), 12) == 2
    with pytest.raises(ArgumentError, match="0 trainings at once"):
        slots_for(jobs(make_job, 2), 0)


@pytest.mark.parametrize(("slots", "threads"), [(8, 1), (3, 2), (1, 8), (20, 1), (0, 8)])
def test_threads_fill_the_cores(slots, threads):
    assert threads_for(slots) == threads


def test_cores_are_those_that_may_be_used():
    assert cores() >= 1
    if hasattr(os, "sched_setaffinity"):
        command = "from tiedlm.launching.share import cores; print(cores())"
        code = f"import os; os.sched_setaffinity(0, {{min(os.sched_getaffinity(0))}}); {command}"
        found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert found.stdout == "1\n"
