"""``python -m tillstream.cli``: the command line without the installed script."""

from tillstream.cli import main

main(prog_name="tillstream")
