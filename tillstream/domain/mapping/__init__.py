"""Receipts of other makers' tills, by mappings as data.

``trees`` reads JSON, XML, CSV and plain text into one kind of document, ``paths`` finds things in it,
``spec`` is what a mapping may say, ``values`` reads one field, ``mapper`` makes transactions of it all.
"""
