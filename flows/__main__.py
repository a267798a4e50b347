"""`python -m flows`: the command, where the script is not on the PATH."""

from flows.cli import main

main()
