"""Contracts of a till transaction, as JSON Schema with examples: v1 (tillstream.domain.transaction) and v2
(tillstream.domain.receipt.contract). Sums are checked beyond the schemas: tillstream.domain.receipt.sums.
"""
