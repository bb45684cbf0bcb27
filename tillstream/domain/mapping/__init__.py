"""Receipts of other makers' tills, by mappings as data.

``trees`` and ``rows`` read JSON, XML, plain text and CSV into one kind of document, ``paths`` finds things in
it, ``spec`` is what a mapping may say, ``values`` reads one field, ``mapper`` makes transactions of it all.
"""
