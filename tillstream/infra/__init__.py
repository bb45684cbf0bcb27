"""What AWS is told to make before any job runs there: from the catalogue, as CloudFormation."""

# command -> (module, one line for --help)
COMMANDS = {
    "infra": ("commands", "What the jobs need on AWS: templates, roles, topics, cost."),
}
