"""A real stack under faults drawn from a seed, and whether its promises held."""

# command -> (module, one line for --help)
COMMANDS = {
    "chaos": ("commands", "Break a stack by a seed and see that all stays right."),
}
