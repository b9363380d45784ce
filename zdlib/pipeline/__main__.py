"""`python -m zdlib.pipeline`: what `run_all.sh` starts."""

import sys

from zdlib.pipeline.run import main

sys.exit(main())
