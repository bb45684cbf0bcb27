"""Every keyed state of every job: whose it is, how long it lives, how many keys a full house has.

docs/state.md shows this as a table and `tillstream state report` projects with it; tests hold that no
function keeps a state that is not here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from tillstream.state_schemas.keyed import (
    archived_mark,
    fraud_counters,
    fraud_profile,
    fraud_staff,
    fraud_store,
    loyalty_account,
    promotion_known,
    promotion_offers,
    shortage_area,
    stock,
    stock_transfer,
    store_day,
    store_watch,
    unfinished,
)
from tillstream.state_schemas.keyed.versioned import Codec, UnknownVersion

# The full house: loyalty customers, products in all stores, transactions a day.
CUSTOMERS = 40_000_000
TILLS = 50_000
STORES = 2_900
CASHIERS = 100_000
STORE_PRODUCTS = 2_900 * 30_000
TRANSACTIONS_A_DAY = 5_000_000
DOCUMENTS_A_DAY = 2_900 * 40  # deliveries, counts, write-offs and others of a store


class KeyedState(NamedTuple):
    """``uid`` and ``name``: the operator's uid and the descriptor's name, by which a savepoint finds it.

    ``key``: what it is keyed by. ``keys``: how many of them at full size. ``life``: when a key's
    state goes, or why it stays for ever. ``codec`` is None where there are no bytes to version.
    """

    job: str
    uid: str
    name: str
    codec: Codec | None
    key: str
    keys: int
    life: str


STATES = (
    KeyedState(
        "loyalty", "loyalty-ledger", "loyalty-account", loyalty_account.CODEC,
        "account: customer or household", CUSTOMERS,
        "for ever: points are owed until they are spent. What it remembers of transactions goes "
        "after loyalty.horizon_days (183), at most loyalty.max_postings (1024) of them, or four times as "
        "many where they are of one moment; of transfers that came as many besides",
    ),
    KeyedState(
        "loyalty", "household-accounts", "household-members", None, "customer who was in a household",
        CUSTOMERS // 10,
        "for ever: a member has no end until it is sent; at most 32 events, some 80 bytes each; in the JVM "
        "(Households.java, whose first line says its version)",
    ),
    KeyedState(
        "loyalty", "household-accounts", "household-adjusted", None, "customer who was given points",
        CUSTOMERS // 50,
        "TTL of loyalty.horizon_days (183) from its arrival, in processing time; in the JVM "
        "(Households.java)",
    ),
    KeyedState(
        "loyalty", "receipt-owners", "receipt-owner", None, "receipt with a customer",
        TRANSACTIONS_A_DAY * 65 // 100 * 183,
        "TTL of loyalty.horizon_days (183) from its sale, in processing time; in the JVM "
        "(ReceiptOwners.java)",
    ),
    KeyedState(
        "loyalty", "receipt-owners", "receipt-claims", None, "receipt of which goods came back first",
        TRANSACTIONS_A_DAY // 50 * 183,
        "until its sale is there, or TTL of loyalty.horizon_days (183) in processing time; at most 16 "
        "returns of a receipt",
    ),
    KeyedState(
        "loyalty", "receipt-owners", "receipt-words", None, "receipt of which fraud spoke first",
        TRANSACTIONS_A_DAY // 1_000,
        "until its sale is there, or TTL of loyalty.horizon_days (183) in processing time; the newest "
        "hold, release and decline",
    ),
    KeyedState(
        "loyalty", "receipt-owners", "receipt-held", None, "sale that fraud holds",
        TRANSACTIONS_A_DAY // 1_000,
        "until its verdict, or TTL of ten years in processing time",
    ),
    KeyedState(
        "archive", "archive-once", "archived", archived_mark.CODEC,
        "transaction", TRANSACTIONS_A_DAY * 26 // 24,
        "archive.dedupe_hours (26) from its arrival, by the stream's own time",
    ),
    KeyedState(
        "fraud", "fraud-till", "fraud-till", fraud_counters.CODEC, "store and till", TILLS,
        "TTL of fraud.till_ttl_days (60) from the last change, in processing time",
    ),
    KeyedState(
        "fraud", "fraud-card", "fraud-card", fraud_counters.CODEC, "card token", CUSTOMERS,
        "TTL of fraud.card_ttl_days (60) from the last change, in processing time",
    ),
    KeyedState(
        "fraud", "fraud-judge", "fraud-profile", fraud_profile.CODEC,
        "customer, or card token without one", CUSTOMERS,
        "TTL of fraud.profile_ttl_days (400) from the last change, in processing time",
    ),
    KeyedState(
        "fraud", "fraud-cashier", "fraud-cashier", fraud_staff.CODEC,
        "store and cashier, or till where none is known", CASHIERS,
        "TTL of fraud.staff_ttl_days (60) from the last change, in processing time",
    ),
    KeyedState(
        "fraud", "fraud-store", "fraud-store", fraud_store.CODEC, "store", STORES,
        "TTL of fraud.staff_ttl_days (60) from the last change, in processing time; 64 cashiers' days",
    ),
    KeyedState(
        "intake", "intake-once", "intake-mark", archived_mark.CODEC, "transaction",
        TRANSACTIONS_A_DAY * 2,
        "intake.dedupe_hours (48) from its arrival, by the stream's own time",
    ),
    KeyedState(
        "intake", "intake-voids", "intake-voids", None, "void, and the receipt of one",
        TRANSACTIONS_A_DAY // 100 * 31 * 2,
        "TTL of 31 days, or of intake.dedupe_hours where that is more, in processing time; the void "
        "that counts; in the JVM (FirstVoids.java)",
    ),
    KeyedState(
        "inventory", "stock-documents", "document", archived_mark.CODEC, "stock document",
        DOCUMENTS_A_DAY * 9,
        "a day more than inventory.horizon_hours (192) from its arrival, by the stream's own time: a "
        "document that old moves no stock",
    ),
    KeyedState(
        "inventory", "stock-documents", "document-rest", unfinished.CODEC, "promotion", 100,
        "until the last line is made: 5,000 a second at most",
    ),
    KeyedState(
        "inventory", "stock-ledger", "stock", stock.CODEC, "store and product", STORE_PRODUCTS,
        "for ever: a stock level has no age. Lines are remembered for inventory.horizon_hours (192)",
    ),
    KeyedState(
        "inventory", "store-day", "store-day", store_day.CODEC, "store", STORES,
        "for ever; numbers and the 100 best sellers of at most two days, gone once they are told, and the "
        "ids of the last 64 documents that came too late",
    ),
    KeyedState(
        "inventory", "stock-transfers", "stock-transfer", stock_transfer.CODEC, "transfer reference",
        STORES * 396,
        "396 days from the last change, in processing time, past any outage; one that is settled holds "
        "nothing. At most 4,000 products. After 30 days, by the documents' times, a reference is of another "
        "transfer",
    ),
    KeyedState(
        "promotions", "promotions-once", "promotion", promotion_known.CODEC, "promotion", 100_000,
        "for ever: a late older revision must never follow a newer one. Some 15 bytes for each product and "
        "3 for each store that the newest revision names",
    ),
    KeyedState(
        "promotions", "promotion-overlaps", "offers", promotion_offers.CODEC, "product", 30_000,
        "for ever, once a product had a promotion; what is over goes when its next one comes. At most 64 "
        "promotions, some 30 bytes each and 3 for each store that they name",
    ),
    KeyedState(
        "sales", "held-sales", "held-sale", None, "sale that fraud has held",
        TRANSACTIONS_A_DAY // 1_000 * 183,
        "TTL of sales.held_days (183) from its last verdict, in processing time; in the JVM "
        "(HeldSales.java)",
    ),
    KeyedState(
        "sales", "held-sales", "held-sale-open", None, "sale that fraud holds",
        TRANSACTIONS_A_DAY // 1_000,
        "until its verdict, or TTL of ten years in processing time",
    ),
    KeyedState(
        "shortage", "shelf-watch", "store-watch", store_watch.CODEC, "store", STORES,
        "for ever; at most shortage.max_shelves (32) products, one not sold for 28 days goes",
    ),
    KeyedState(
        "shortage", "region-watch", "shortage-area", shortage_area.CODEC, "region and product",
        50 * 40,
        "for ever; a store is remembered as short for a day",
    ),
)  # fmt: skip


def find(uid: str, name: str) -> KeyedState | None:
    """The state a savepoint knows by these two."""
    return next((s for s in STATES if (s.uid, s.name) == (uid, name)), None)


def check_versions(versions: Mapping[str, int]) -> None:
    """Raises UnknownVersion unless every name and version of ``state.write_versions`` exists."""
    codecs = {state.codec.name: state.codec for state in STATES if state.codec is not None}
    for name in versions:
        if name not in codecs:
            raise UnknownVersion(
                f"state.write_versions: there is no {name}; known: {', '.join(sorted(codecs))}"
            )
        codecs[name].writer(versions)
