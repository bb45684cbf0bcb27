"""One waiting loop: what it returns, how often it asks, and what it says when nothing comes."""

from __future__ import annotations

import pytest

from tillstream.clients.wait import NotInTime, wait_until


def test_it_returns_what_the_condition_found():
    answers = iter([None, "", [], "there"])
    slept: list[float] = []
    assert wait_until(lambda: next(answers), 60, "never", every_s=3, sleep=slept.append) == "there"
    assert slept == [3, 3, 3]


def test_it_asks_once_even_when_there_is_no_time():
    assert wait_until(lambda: 7, 0, "never") == 7


def test_it_says_what_was_waited_for_and_how_long():
    with pytest.raises(NotInTime, match="topic t is not deleted after 0 s"):
        wait_until(lambda: None, 0, "topic t is not deleted")
    with pytest.raises(NotInTime, match="2 of 3 are there after 0 s"):
        wait_until(lambda: None, 0, lambda: "2 of 3 are there")


def test_what_the_condition_raises_is_not_held_back():
    with pytest.raises(KeyError):
        wait_until(lambda: {}["gone"], 60, "never")
