"""``python -m tillstream.cli``."""

from tillstream.cli import main

if __name__ == "__main__":
    main()
