"""The main job live, and its proof."""

# command -> (module, one line for --help)
COMMANDS = {
    "demo": ("commands", "The main job, live, with its proof."),
}
