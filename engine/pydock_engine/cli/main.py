"""Entry point of the `pydock` command."""

from __future__ import annotations

import sys


def main() -> None:
    from .shell import run_shell

    sys.exit(run_shell(sys.argv[1:]))


if __name__ == "__main__":
    main()
