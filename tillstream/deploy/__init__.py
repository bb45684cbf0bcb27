"""Jobs on Amazon Managed Service for Apache Flink."""

# command -> (module, one line for --help)
COMMANDS = {
    "deploy": ("commands", "Plan, apply, watch, roll back and scale jobs there."),
}
