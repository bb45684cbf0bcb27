"""Which currencies a store's country uses, besides that of the table of stores."""

from __future__ import annotations

from tillstream.domain.transaction import InvalidTransaction

# Where a second currency is legal tender, or shops price in it by law or custom.
ALSO_USED = {
    "BT": ("BTN", "INR"),
    "KH": ("KHR", "USD"),
    "LB": ("LBP", "USD"),
    "LR": ("LRD", "USD"),
    "LS": ("LSL", "ZAR"),
    "NA": ("NAD", "ZAR"),
    "PA": ("PAB", "USD"),
    "SV": ("SVC", "USD"),
    "SZ": ("SZL", "ZAR"),
    "VE": ("USD", "VED", "VES"),
    "ZW": ("USD", "ZAR", "ZWG", "ZWL"),
}


def is_used(currency: str, of_store: str, country: str) -> bool:
    """Whether ``currency`` is nothing odd at a store whose own is ``of_store``; a store that the table does
    not have has none ("")."""
    return not of_store or currency == of_store or currency in ALSO_USED.get(country, ())


def refuse_other(currency: str, of_store: str, country: str) -> None:
    """Raises InvalidTransaction where it `is_used` not."""
    if not is_used(currency, of_store, country):
        message = "$.currency is none of the store's country (intake.other_currencies)"
        raise InvalidTransaction("other_currency", message)
