"""The circuits of the drain edge's steps; a new step is a file here, its entry, and its specification in `sw_ref`."""

from dataflow.drain.pipeline import StepCircuit
from dataflow.drain.steps.act_scale import ActScaleCircuit
from dataflow.drain.steps.bias import BiasCircuit
from dataflow.drain.steps.channel_scale import ChannelScaleCircuit
from dataflow.drain.steps.limits import LimitsCircuit
from dataflow.drain.steps.offset import OffsetCircuit
from dataflow.drain.steps.requantize import RequantizeCircuit
from dataflow.drain.steps.scale import ScaleCircuit
from dataflow.drain.steps.zero_points import ZeroPointsCircuit
from sw_ref.drain.step import Step
from sw_ref.drain.steps.act_scale import ActScale
from sw_ref.drain.steps.bias import Bias
from sw_ref.drain.steps.channel_scale import ChannelScale
from sw_ref.drain.steps.limits import Limits
from sw_ref.drain.steps.offset import Offset
from sw_ref.drain.steps.requantize import Requantize
from sw_ref.drain.steps.scale import Scale
from sw_ref.drain.steps.zero_points import ZeroPoints

__all__ = ["CIRCUITS"]

CIRCUITS: dict[type[Step], type[StepCircuit]] = {
    ZeroPoints: ZeroPointsCircuit,
    Scale: ScaleCircuit,
    Offset: OffsetCircuit,
    ChannelScale: ChannelScaleCircuit,
    ActScale: ActScaleCircuit,
    Bias: BiasCircuit,
    Requantize: RequantizeCircuit,
    Limits: LimitsCircuit,
}
"""The circuit of each step of `sw_ref.drain.steps.STEPS`."""
