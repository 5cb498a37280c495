"""Without a Chromium the pages are not checked: a skip for a reader, a failure where the project is built."""

import pytest


def test_without_chromium_the_tests_are_skipped(find_chromium, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="apt-get install chromium"):
        find_chromium()


def test_without_chromium_they_fail_in_ci(find_chromium, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="apt-get install chromium"):
        find_chromium()
