"""`python -m zdlib`, for where the `zdlib` command is not on the path."""

import sys

from zdlib.cli import main

sys.exit(main())
