"""What becomes of a word of the fraud job about a sale: see `held`."""

from __future__ import annotations

from tillstream.domain.loyalty.account import Account, new_account
from tillstream.domain.loyalty.entry import LedgerEntry
from tillstream.domain.loyalty.held import HoldOrder, newer, word_of
from tillstream.domain.loyalty.ledger import NO_ENTRIES, LoyaltyRules, Refused, beyond, follow


def on_order(
    account: Account | None, order: HoldOrder, rules: LoyaltyRules
) -> tuple[Account | None, list[LedgerEntry] | tuple[LedgerEntry, ...] | Refused]:
    """The account after what fraud said of one of its sales, and the entry that says so; results as of
    `apply`. A word that comes before its sale waits for it. It moves no horizon."""
    if not order.customer_id or not rules.max_held:
        return None, NO_ENTRIES
    account = account or new_account(order.event_time_ms)
    name = order.transaction_id
    known, sale = account.words.get(name), account.postings.get(name)
    if sale is not None and not sale.is_sale:
        return None, NO_ENTRIES
    if known is None:
        if sale is None and beyond(account, order.event_time_ms, rules):
            return None, NO_ENTRIES  # forgotten
        if (order.action == "hold" or sale is None) and _open(account) >= rules.max_held:
            message = (
                f"{rules.max_held} sales of this customer are held, or said to be and not here"
            )
            return None, Refused("too_many_held", message)
    elif not newer(order, known):
        return None, NO_ENTRIES
    word = word_of(order, known)
    if sale is None:
        account.words[name] = word
        return account, NO_ENTRIES
    return account, follow(account, name, order.customer_id, word, known)


def _open(account: Account) -> int:
    words, postings = account.words.items(), account.postings
    return sum(1 for name, word in words if word.action == "hold" or name not in postings)
