"""What is made once in a process."""

import threading

from coretx.training.threadsafe_cache import once


def test_results_are_kept_by_arguments_until_they_are_forgotten():
    made = []
    kept = once(lambda *args, **settings: made.append((args, settings)) or len(made))
    assert [kept(1, a=2, b=3), kept(1, b=3, a=2), kept(1), kept(1, a=2, b=4)] == [1, 1, 2, 3]
    kept.cache_clear()
    assert kept(1) == 4


def test_what_is_there_waits_for_nobody():
    """A chunk asks for its programs while another model's are traced."""
    going, go = threading.Event(), threading.Event()

    @once
    def make(name):
        if name == "slow":
            going.set()
            assert go.wait(20)
        return name

    make("quick")
    slow = threading.Thread(target=make, args=("slow",))
    slow.start()
    assert going.wait(20)
    found = []
    quick = threading.Thread(target=lambda: found.append(make("quick")))
    quick.start()
    quick.join(20)
    go.set()
    slow.join(20)
    assert found == ["quick"]
