"""The proof: what the platform holds, recomputed from what was sent."""

# command -> (module, one line for --help)
COMMANDS = {
    "check": ("commands", "Recompute balances, stock levels or sales and compare."),
}
