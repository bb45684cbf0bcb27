"""Records that no job could use: read, judged, sent again."""

# command -> (module, one line for --help)
COMMANDS = {
    "dlq": ("commands", "List, show and redrive dead letters."),
}
