"""Jobs on the cluster, their savepoints and state."""

# command -> (module, one line for --help)
COMMANDS = {
    "job": ("job_commands", "Submit, list, stop, restore and cancel jobs."),
    "savepoint": ("savepoint_commands", "Take, list, verify and prune savepoints."),
    "state": ("state_commands", "Bytes per key, from a savepoint."),
}
