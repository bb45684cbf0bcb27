"""A till's receipt as it really is: weighed goods, discounts, tax, several tenders, any currency.

``contract`` is what senders write (version 2), ``sums`` what must add up in it, ``parse`` reads both.
``amounts`` and ``product`` make one form of money, quantities and products, whatever a till calls them.
"""
