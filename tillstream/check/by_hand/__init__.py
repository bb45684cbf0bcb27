"""Parts of a receipt worked out by hand, for `receipts`."""
