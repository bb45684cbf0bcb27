"""The front door: what tills and other makers' systems send, read by mappings."""

# command -> (module, one line for --help)
COMMANDS = {
    "intake": ("commands", "Receipts of any maker: try a mapping on a file."),
}
