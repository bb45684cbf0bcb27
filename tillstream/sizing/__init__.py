"""What traffic takes, measured here and reckoned for AWS."""

# command -> (module, one line for --help)
COMMANDS = {
    "bench": ("bench", "Measure every job's speed here, beside alternatives."),
    "size": ("commands", "What a shop's traffic takes on AWS."),
}
