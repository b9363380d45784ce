"""What the numbers of a prediction mean, in words."""

from zdlib.models.depth_model import DepthModel
from zdlib.models.garg.depth_model import GargDepthModel
from zdlib.models.sgdem.depth_model import SGDEMDepthModel


def unit(model: DepthModel) -> str:
    """The unit of a network's depth, with what it supposes.

    Metric networks give metres; one that stereo pairs taught gives those of its pairs' camera; one that video taught
    gives inverse depth up to a scale, others of relative depth up to scale and shift.
    """
    if isinstance(model, SGDEMDepthModel):
        return "relative inverse depth, up to a scale"
    if model.convention.kind == "relative":
        return "relative inverse depth"
    if isinstance(model, GargDepthModel):
        return f"m, for cameras like that of its pairs (f·B / width {float(model.network.metres):.3g} m)"
    return "m"
