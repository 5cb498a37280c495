"""Jobs side by side, and how they end."""

import threading

import numpy as np
import pytest

from coretx.running.workers import SideBySide, Stopped
from coretx.training.loop import EpochRecord


def record(epoch):
    return EpochRecord(epoch, {"loss_train": np.zeros(1)})


def two_epochs(job, on_epoch):
    on_epoch(record(0))
    on_epoch(record(1))
    return job * 10


def test_one_worker_tells_a_job_from_start_to_end_before_the_next():
    events = [(event.kind, event.job) for event in SideBySide([1, 2], two_epochs, 1)]
    assert events == [(kind, job) for job in (1, 2) for kind in ("started", "epoch", "epoch", "done")]


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_every_job_is_done_once(workers):
    events = SideBySide([1, 2, 3], two_epochs, workers)
    assert sorted(event.result for event in events if event.kind == "done") == [10, 20, 30]


@pytest.mark.parametrize("workers", [2, 3])
def test_events_of_one_job_come_in_order(workers):
    events = list(SideBySide([1, 2, 3], two_epochs, workers))
    for job in (1, 2, 3):
        mine = [event for event in events if event.job == job]
        assert [event.kind for event in mine] == ["started", "epoch", "epoch", "done"]
        assert [event.record.epoch for event in mine[1:3]] == [0, 1]


def test_jobs_run_at_the_same_time():
    """Each waits for the other inside its work: one after the other they would never meet."""
    barrier = threading.Barrier(2, timeout=20)
    events = SideBySide([1, 2], lambda job, on_epoch: barrier.wait() >= 0, 2)
    assert [event.result for event in events if event.kind == "done"] == [True, True]


@pytest.mark.parametrize("workers", [1, 2])
def test_failure_of_one_job_does_not_stop_the_others(workers):
    def work(job, on_epoch):
        if job == 2:
            raise ValueError("no")
        return job

    ends = {event.job: event for event in SideBySide([1, 2, 3], work, workers) if event.kind != "started"}
    assert {job: event.kind for job, event in ends.items()} == {1: "done", 2: "failed", 3: "done"}
    assert isinstance(ends[2].error, ValueError)


def test_no_jobs_are_no_events():
    assert list(SideBySide([], two_epochs, 2)) == []


def for_ever(job, on_epoch):
    epoch = 0
    while True:
        on_epoch(record(epoch))
        epoch += 1


def stopped_at_the_first_epoch(work, jobs=(1, 2)):
    """Return a team that was stopped after the first epoch of its first job."""
    team = SideBySide(jobs, work, 1)
    next(event for event in team if event.kind == "epoch")
    team.stop()
    return team


def test_stop_ends_a_job_at_its_next_epoch():
    last = list(stopped_at_the_first_epoch(for_ever))[-1]
    assert (last.kind, last.job) == ("failed", 1)
    assert isinstance(last.error, Stopped)


def test_no_job_begins_after_stop():
    assert 2 not in {event.job for event in stopped_at_the_first_epoch(for_ever)}


def test_job_that_is_done_before_stop_is_told_after_it():
    finished = threading.Event()

    def work(job, on_epoch):
        on_epoch(record(0))
        finished.set()
        return job

    team = SideBySide([1], work, 1)
    next(event for event in team if event.kind == "epoch")
    finished.wait(20)
    team.join()
    assert [(event.kind, event.result) for event in team] == [("done", 1)]


def test_interrupt_ends_the_iteration_which_can_be_taken_up_again():
    team = SideBySide([1, 2], for_ever, 1)
    told = []
    for event in team:
        told.append(event.kind)
        if told == ["started", "epoch"]:
            team.interrupt()
    assert set(told) == {"started", "epoch"}
    assert [type(event.error) for event in team][-1] is Stopped


def test_join_waits_for_the_threads():
    before = threading.active_count()
    SideBySide([1, 2, 3], two_epochs, 2).join()
    assert threading.active_count() == before
