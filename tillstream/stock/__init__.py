"""What a store has of a product, and corrections of it."""

# command -> (module, one line for --help)
COMMANDS = {
    "stock": ("commands", "Level, run-out and open orders of a product in a store."),
    "streams": ("commands", "Bring corrections of the stock table to the jobs."),
}
