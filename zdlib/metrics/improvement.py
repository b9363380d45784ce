"""By how much one method is better than another, in percent: ZoeDepth's mRI (Bhat et al., 2023, section 5.1).

RI = (reference − value) / reference where lower is better, (value − reference) / reference where higher is; mRID is
its mean over data sets (of AbsRel), mRIθ its mean over metrics (δ1, AbsRel, RMSE).
"""

from collections.abc import Mapping

import numpy as np

from zdlib.metrics.depth import HIGHER_IS_BETTER


def relative_improvement(metric: str, value: float, reference: float) -> float:
    """RI of one metric, in percent: positive where `value` is better than `reference`.

    Args:
        metric: its name in `zdlib.metrics.depth`; says which direction is better.
        value: the method's.
        reference: what it is compared with, not 0.
    """
    gain = value - reference if metric in HIGHER_IS_BETTER else reference - value
    return 100 * gain / reference


def mean_relative_improvement(metric: str, values: Mapping[str, float], references: Mapping[str, float]) -> float:
    """mRID: the mean of a metric's RI over data sets, in percent; both mappings name the same data sets."""
    return float(np.mean([relative_improvement(metric, value, references[name]) for name, value in values.items()]))


def mean_over_metrics(values: Mapping[str, float], references: Mapping[str, float]) -> float:
    """mRIθ: the mean of the RI of several metrics on one data set, in percent; both mappings name the same metrics."""
    return float(np.mean([relative_improvement(name, value, references[name]) for name, value in values.items()]))
