"""Schemas of what outlives a release: keyed state and events. Append-only: a released version is frozen."""
