"""The notifier: reads notices that jobs wrote at least once, sends each at most once."""

# command -> (module, one line for --help)
COMMANDS = {
    "notify": ("commands", "Send notices once; decide about uncertain ones."),
}
