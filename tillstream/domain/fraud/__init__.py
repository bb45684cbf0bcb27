"""Fraud: what is remembered, the signals, rule sets as data, and the judge. No engine here.

The layout a job builds from this (docs/jobs/fraud.md):

1. **Counters by card** (`observe`, key `card_token`) and **counters by till** (`observe`, key
   `terminal`), two instances of one small state of whole numbers, each attaching its `CounterFacts`
   to the transaction on its way. Labels come to the same keys (`label`).
2. **The judge by subject** (`judge`, `judge_both`, key `subject`: customer, else card): one
   composite value, the `Profile`. Labels come here too (`apply_label`). Rule sets come by broadcast.

A sale without card skips the card's counters (`Facts.card` is None); one without subject has no
profile and is judged by its till alone.

Rule sets: `load_rules` takes the JSON that travels on the topic and raises `InvalidRules`, whose
``problems`` say why; what it returns judges. State codecs: state_schemas/keyed/fraud_counters and
state_schemas/keyed/fraud_profile.
"""
