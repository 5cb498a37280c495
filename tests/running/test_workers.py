"""Jobs in a pool of worker threads, and how they end."""

import threading

import numpy as np
import pytest

from coretx.running.workers import Stopped, WorkerPool
from coretx.training.loop import EpochRecord


def record(epoch):
    return EpochRecord(epoch, {"loss_train": np.zeros(1)})


def two_epochs(job, on_epoch):
    on_epoch(record(0))
    on_epoch(record(1))
    return job * 10


def for_ever(job, on_epoch):
    epoch = 0
    while True:
        on_epoch(record(epoch))
        epoch += 1


def test_one_worker_ends_a_job_before_it_starts_the_next():
    events = [(event.kind, event.job) for event in WorkerPool([1, 2], two_epochs, 1)]
    assert events == [(kind, job) for job in (1, 2) for kind in ("started", "epoch", "epoch", "done")]


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_every_job_is_done_once_and_its_events_come_in_order(workers):
    events = list(WorkerPool([1, 2, 3], two_epochs, workers))
    assert len(events) == 12
    for job in (1, 2, 3):
        started, first, second, done = (event for event in events if event.job == job)
        assert [event.kind for event in (started, first, second, done)] == ["started", "epoch", "epoch", "done"]
        assert (first.record.epoch, second.record.epoch, done.result) == (0, 1, job * 10)


def test_jobs_run_at_the_same_time():
    """Each waits for the other inside its work: one after the other they would never meet."""
    barrier = threading.Barrier(2, timeout=20)
    events = WorkerPool([1, 2], lambda job, on_epoch: barrier.wait() >= 0, 2)
    assert [event.result for event in events if event.kind == "done"] == [True, True]


@pytest.mark.parametrize("workers", [1, 2])
def test_failure_of_one_job_does_not_stop_the_others(workers):
    def work(job, on_epoch):
        if job == 2:
            raise ValueError("no")
        return job

    ends = {event.job: event for event in WorkerPool([1, 2, 3], work, workers) if event.kind != "started"}
    assert {job: event.kind for job, event in ends.items()} == {1: "done", 2: "failed", 3: "done"}
    assert isinstance(ends[2].error, ValueError)


def test_no_jobs_are_no_events():
    assert list(WorkerPool([], two_epochs, 2)) == []


def test_stop_ends_a_job_at_its_next_epoch_and_starts_no_other():
    pool = WorkerPool([1, 2], for_ever, 1)
    next(event for event in pool if event.kind == "epoch")
    pool.stop()
    events = list(pool)
    assert (events[-1].kind, events[-1].job) == ("failed", 1)
    assert isinstance(events[-1].error, Stopped)
    assert 2 not in {event.job for event in events}


def test_job_that_was_done_before_stop_is_reported_after_it():
    finished = threading.Event()

    def work(job, on_epoch):
        on_epoch(record(0))
        finished.set()
        return job

    pool = WorkerPool([1], work, 1)
    next(event for event in pool if event.kind == "epoch")
    finished.wait(20)
    pool.join()
    assert [(event.kind, event.result) for event in pool] == [("done", 1)]


def test_interrupt_ends_the_iteration_which_can_be_resumed():
    pool = WorkerPool([1, 2], for_ever, 1)
    kinds = []
    for event in pool:
        kinds.append(event.kind)
        if kinds == ["started", "epoch"]:
            pool.interrupt()
    assert set(kinds) == {"started", "epoch"}
    assert [type(event.error) for event in pool][-1] is Stopped


def test_join_shuts_the_threads_down():
    before = set(threading.enumerate())
    WorkerPool([1, 2, 3], two_epochs, 2).join()
    assert set(threading.enumerate()) <= before
