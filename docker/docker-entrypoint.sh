#!/bin/sh
# Where Flink's Kubernetes deployment looks for it. What is to run comes as arguments.
exec "$@"
