"""Shelves that run out or are empty."""

# command -> (module, one line for --help)
COMMANDS = {
    "shortages": ("commands", "Shelves that run out or are empty, and why."),
}
