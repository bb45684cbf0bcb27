"""A till's receipt as it really is: weighed goods, discounts, tax, several tenders, any currency.

``contract`` is what senders write (version 2), ``sums`` what must add up in it, ``parse`` reads both.
``canonical`` is the one form for every job, ``front_door`` makes it of what was sent. ``amounts`` and
``product`` make one form of money, quantities and products, whatever a till calls them.
"""
