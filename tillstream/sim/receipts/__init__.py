"""Receipts of contract v2 as a grocer's tills write them: ``maker`` makes sales, returns and voids of
``lines`` and ``tenders``, by the ways of each country (``countries.yaml``) and the profile's shares."""
