"""Schema of a rule set: JSON Schema for editors and for people, of tillstream.domain.fraud.ruleset.RuleSet.

Conditions, names of signals and models are checked beyond it when a rule set is loaded.
"""
