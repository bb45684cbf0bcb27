"""Parquet files on S3."""

# command -> (module, one line for --help)
COMMANDS = {
    "history": ("commands", "List the Parquet files on S3, make large ones of small ones."),
}
