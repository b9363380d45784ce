"""The renderer's tests run where their extra is installed (`pip install -e '.[scenes]'`)."""

import importlib.util

if importlib.util.find_spec("mitsuba") is None:
    collect_ignore_glob = ["*"]
