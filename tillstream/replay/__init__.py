"""Back to a savepoint, and forward again."""

# command -> (module, one line for --help)
COMMANDS = {
    "replay": ("commands", "Go back to a savepoint and process again from there."),
}
