"""A job as Amazon Managed Service for Apache Flink takes it: one zip. docs/deploy.md"""

# command -> (module, one line for --help)
COMMANDS = {"package": ("commands", "A job as a zip for Amazon Managed Service for Apache Flink.")}
