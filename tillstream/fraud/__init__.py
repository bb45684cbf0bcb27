"""Cases, verdicts and rule sets of the fraud job."""

# command -> (module, one line for --help)
COMMANDS = {
    "fraud": ("commands", "Cases to review, and verdicts."),
    "explain": ("commands", "Why a transaction was judged as it was."),
    "rules": ("rules_commands", "Check, push, list, compare and try rule sets of the fraud job."),
}
