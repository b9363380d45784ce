"""`python -m zdlib`, for where the `zdlib` command is not on the path."""

import sys

from zdlib.apps.command_line import main

sys.exit(main())
