"""The loyalty job of a made-up next release: its account counts visits, in the middle of the layout."""

# No deferred annotations: the structs below are made inside a function, where only it knows their types.
from dataclasses import replace
from typing import Any

from tillstream.connectors.context import run
from tillstream.jobs import loyalty
from tillstream.udfs.loyalty import LoyaltyLedger, ledger


def made_up() -> Any:
    """(codec, account) of version 5. Made where it is used, for a job file's classes have no home."""
    import msgspec

    from tillstream.domain.loyalty import ledger as v4
    from tillstream.domain.loyalty.held import Word
    from tillstream.domain.loyalty.holds import Hold
    from tillstream.domain.loyalty.ledger import Pending, Posting
    from tillstream.state_schemas.keyed import loyalty_account
    from tillstream.state_schemas.keyed.versioned import Codec, Layout

    class AccountV5(msgspec.Struct, array_like=True, gc=False):
        version: int
        balance: int
        visits: int
        newest_ms: int
        floor_ms: int
        oldest_ms: int
        postings: dict[str, v4.Posting]
        pending: dict[str, list[v4.Pending]]
        holds: dict[str, Hold]
        words: dict[str, Word]

    class Account(msgspec.Struct, array_like=True, gc=False):
        version: int = 0
        balance: int = 0
        visits: int = 0
        newest_ms: int = 0
        floor_ms: int = -1
        oldest_ms: int = 0
        postings: dict[str, Posting] = {}
        pending: dict[str, list[Pending]] = {}
        holds: dict[str, Hold] = {}
        words: dict[str, Word] = {}

    def upgrade(old: v4.Account) -> AccountV5:
        return AccountV5(old.version, old.balance, len(old.postings), old.newest_ms,
                         old.floor_ms, old.oldest_ms, old.postings, old.pending,
                         old.holds, old.words)  # fmt: skip

    def downgrade(new: AccountV5) -> v4.Account:
        return v4.Account(new.version, new.balance, new.newest_ms, new.floor_ms,
                          new.oldest_ms, new.postings, new.pending, new.holds,
                          new.words)  # fmt: skip

    layouts = [*loyalty_account.CODEC.layouts, Layout(5, AccountV5, upgrade, downgrade)]
    return Codec("loyalty_account", Account, layouts), Account


class LedgerNext(LoyaltyLedger):
    """Today's rule on tomorrow's account."""

    def open(self, runtime_context: Any) -> None:
        from types import SimpleNamespace

        codec, account = made_up()

        def writer(versions: Any) -> Any:
            write = codec.writer(versions)

            def encode(state: Any) -> bytes:
                # The rule of today makes a new customer's account in today's struct.
                if not isinstance(state, account):
                    state = account(state.version, state.balance, 0, state.newest_ms, state.floor_ms,
                                    state.oldest_ms, state.postings, state.pending,
                                    state.holds, state.words)  # fmt: skip
                state.visits += 1
                return write(state)

            return encode

        self.codec = SimpleNamespace(decode=codec.decode, writer=writer)  # type: ignore[assignment]
        super().open(runtime_context)


def build(rows: Any, context: Any) -> Any:
    today = ledger(context.conf)
    tomorrow = LedgerNext(today.settings, today.rules)
    return loyalty.build(rows, context, tomorrow)


if __name__ == "__main__":
    run(replace(loyalty.JOB, build=build))
