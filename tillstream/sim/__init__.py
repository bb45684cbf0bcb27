"""A grocer's traffic, made up."""

# command -> (module, one line for --help)
COMMANDS = {
    "sim": ("commands", "Send simulated till transactions."),
}
