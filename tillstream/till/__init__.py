"""What runs beside the tills: records are safe from the moment they are accepted, whatever the line does."""

# command -> (module, one line for --help)
COMMANDS = {
    "till": ("commands", "Forward records from a store, through outages and crashes."),
}
