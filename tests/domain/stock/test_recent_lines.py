"""The packed memory of lines against a plain list."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tillstream.domain.stock import recent_lines as memory
from tillstream.domain.stock.recent_lines import Recent, fingerprint

T0 = 1_764_000_000_000
HOUR = 3_600_000
HORIZON = 72 * HOUR
lines = st.lists(
    st.tuples(st.integers(0, 200), st.integers(0, HORIZON), st.integers(-50, 50)), max_size=80
)


def filled(rows) -> Recent:
    recent = Recent()
    memory.add(recent, fingerprint("first"), T0 + HORIZON, 0, HORIZON)
    for name, at, moved in rows:
        memory.add(recent, fingerprint(f"line {name}"), T0 + at, moved, HORIZON)
    return recent


@given(lines, st.integers(0, HORIZON))
def test_a_late_count_finds_what_moved_after_it(rows, at):
    recent = filled(rows)
    assert memory.moved_since(recent, T0 + at) == sum(m for _, when, m in rows if when > at)


@given(lines)
def test_a_line_is_known_again_and_no_other(rows):
    recent = filled(rows)
    names = {name for name, _, _ in rows}
    for name in range(201):
        assert memory.holds(recent, fingerprint(f"line {name}")) == (name in names)


@given(lines, st.integers(0, HORIZON))
def test_forgetting_drops_what_is_old_and_keeps_the_rest(rows, at):
    recent = filled(rows)
    memory.forget(recent, T0 + at)
    assert recent.floor_ms == T0 + at
    assert memory.size(recent) == 1 * (at < HORIZON) + sum(when > at for _, when, _ in rows)
    assert memory.moved_since(recent, T0 + at) == sum(m for _, when, m in rows if when > at)


def test_a_quiet_product_keeps_no_more_than_twice_what_the_horizon_holds():
    recent, most = Recent(), 0
    for day in range(400):
        for n in range(20):
            at = T0 + day * 24 * HOUR + n * HOUR // 2
            memory.add(recent, fingerprint(f"{day}/{n}"), at, -1, HORIZON)
            memory.thin_out(recent, at - HORIZON, 4096)
            most = max(most, memory.size(recent))
    assert most <= 2 * 4 * 20


def test_a_busy_product_never_keeps_more_than_the_cap():
    recent, most = Recent(), 0
    for n in range(5_000):
        memory.add(recent, fingerprint(f"{n}"), T0 + n * 10, -1, HORIZON)
        memory.thin_out(recent, T0 + n * 10 - HORIZON, 500)
        most = max(most, memory.size(recent))
    assert most <= 500
    assert memory.holds(recent, fingerprint("4999"))
    assert recent.floor_ms > T0


def test_sixty_days_without_a_line_do_not_overflow():
    recent = filled([(1, 0, -1)])
    memory.add(recent, fingerprint("later"), T0 + 60 * 24 * HOUR, -4, HORIZON)
    assert memory.moved_since(recent, T0 + 59 * 24 * HOUR) == -4
    assert not memory.holds(recent, fingerprint("line 1"))
