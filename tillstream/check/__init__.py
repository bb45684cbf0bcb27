"""The proof: what the platform holds, recomputed from what was sent."""

# command -> (module, one line for --help)
COMMANDS = {
    "check": ("commands", "Recompute every balance or stock level and compare."),
}
