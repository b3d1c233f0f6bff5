"""`python -m sampan`: the command line."""

from sampan.cli.main import main

if __name__ == "__main__":
    main()
