"""A local service that behaves as Amazon Managed Service for Apache Flink does, for tests.

What it imitates and what not: docs/runbooks/deployment.md, "The local service".
"""
