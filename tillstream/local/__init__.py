"""The stack on this machine: what Kinesis, Kafka, DynamoDB, S3 and Flink are to the jobs."""

# command -> (module, one line for --help)
COMMANDS = {
    "up": ("commands", "Start the local stack."),
    "status": ("commands", "What is running, where, and how well."),
    "doctor": ("commands", "What is wrong on this machine, and the fix."),
    "logs": ("commands", "Show the log of a process."),
    "down": ("commands", "Stop the local stack."),
}
