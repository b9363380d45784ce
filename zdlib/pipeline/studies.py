"""The notebooks of studies: which profile's trainings each one is about. A further study is one line of `STUDIES`.

A study's notebook computes nothing but statistics of scores that its profile's run has left in
`results/<profile>/per_image`, and git keeps those. So it runs in two places: in its own profile, after the
trainings; and, in seconds, in every profile that tells the paper, from the committed scores.
"""

from collections.abc import Mapping
from types import MappingProxyType

# Notebook → the profile whose committed scores it shows in the reports of other profiles.
STUDIES: Mapping[str, str] = MappingProxyType(
    {
        "09_control_study": "study",
        "11_photographs": "photographs",
        "12_heads": "heads",
        "13_domains": "domains",
        "14_depth_anything": "depth_anything_study",
        "15_unsupervised_stereo": "stereo",
        "16_semantic_guidance": "video",
        "17_when_labels_help": "label_budget",
    }
)
GRID = "09_control_study"  # of a profile with a grid of trainings (`study`) that no line above names
# Profiles of grids whose jobs are scored by another module than the control study's, which has a `run_job` like it.
JOB_MODULES: Mapping[str, str] = MappingProxyType(
    {
        "domains": "domains.job",
        "paper_domains": "domains.job",
    }
)
STUDY_JOB = "study_job"


def notebook_of(profile: str, has_grid: bool) -> str | None:
    """The notebook of a profile's own study; None if it has none. `paper_NAME`'s is that of NAME, on real data.

    Args:
        profile: its name.
        has_grid: whether it has a `study` section.
    """
    named = next((notebook for notebook, name in STUDIES.items() if name == profile.removeprefix("paper_")), None)
    return named or (GRID if has_grid and profile not in JOB_MODULES else None)


def job_module(profile: str) -> str:
    """The module in `zdlib.paper` whose `run_job` trains and scores a profile's jobs."""
    return JOB_MODULES.get(profile, STUDY_JOB)
