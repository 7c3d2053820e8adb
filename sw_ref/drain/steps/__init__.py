"""The steps of the drain edge, in the order in which they come; a new one is its file and its entry here.

Its circuit is an entry of `dataflow.drain.steps`.
"""

from sw_ref.drain.step import Step
from sw_ref.drain.steps.act_scale import ActScale
from sw_ref.drain.steps.bias import Bias
from sw_ref.drain.steps.channel_scale import ChannelScale
from sw_ref.drain.steps.limits import Limits
from sw_ref.drain.steps.offset import Offset
from sw_ref.drain.steps.requantize import Requantize
from sw_ref.drain.steps.scale import Scale
from sw_ref.drain.steps.zero_points import ZeroPoints

__all__ = ["STEPS"]

STEPS: list[type[Step]] = [ZeroPoints, Scale, Offset, ChannelScale, ActScale, Bias, Requantize, Limits]
