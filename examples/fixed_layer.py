"""A fully connected layer as a component: the weights lie in a ROM, activations and results are streams.

The engine comes from a named design. `python examples/fixed_layer.py` simulates one product and prints it.
"""

import numpy as np
from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator, SimulatorContext

from macforge import Design, load_design
from sw_ref.engine.beats import act_payloads, weight_payloads
from sw_ref.engine.product import Product

__all__ = ["FixedLayer", "simulate_layer"]


def _words(payloads: np.ndarray) -> list[int]:
    """Payloads as integers: `sw_ref.engine.beats` gives them as bytes, the low ones first."""
    return [int.from_bytes(beat.tobytes(), "little") for beat in payloads]


class FixedLayer(wiring.Component):
    """Multiplies activations (m, K) by constant weights (K, N), one product after the other.

    Ports
    -----
    act : In(stream)
        Beats of activations, in the order of `sw_ref.engine.schedule`.
    result : Out(stream)
        Rows of the product, as the engine's result stream has them.

    Parameters
    ----------
    design : Design
        Without a drain edge, so that the engine takes no parameters.
    weight : int array (K, N)
        Codes of ``design.weight``.
    m : int
        Rows of activations of each product.
    """

    def __init__(self, design: Design, weight: np.ndarray, m: int) -> None:
        if design.edge is not None:
            raise ValueError(f"Design must have no drain edge, as {design.name} has")
        self._engine = design.engine
        spec = self._engine.spec
        product = Product(act=np.zeros((m, len(weight)), int), weight=weight)
        self._command = product.schedule(spec).command
        self._weights = _words(weight_payloads(spec, product))
        super().__init__(
            {
                "act": In(stream.Signature(len(self._engine.act.payload))),
                "result": Out(self._engine.signature.members["result"].signature),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.engine = engine = self._engine
        m.submodules.rom = rom = Memory(shape=len(engine.weight.payload), depth=len(self._weights), init=self._weights)
        read = rom.read_port(domain="comb")
        address = Signal(range(len(self._weights)))
        wiring.connect(m, wiring.flipped(self.act), engine.act)
        wiring.connect(m, engine.result, wiring.flipped(self.result))
        m.d.comb += [
            # the sizes are the same for every product, so a command is always waiting
            engine.command.payload.eq(self._command),
            engine.command.valid.eq(1),
            read.addr.eq(address),
            engine.weight.payload.eq(read.data),
            engine.weight.valid.eq(1),
        ]
        with m.If(engine.weight.ready):
            m.d.sync += address.eq(address + 1)
            with m.If(address == len(self._weights) - 1):
                m.d.sync += address.eq(0)
        return m


def simulate_layer(design: Design, acts: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Products (batches, m, N) of activations (batches, m, K), one after the other, from Amaranth's simulator."""
    layer = FixedLayer(design, weight, m=acts.shape[1])
    spec = design.engine.spec
    bits = spec.result_bits
    products = [Product(act=act, weight=weight) for act in acts]
    beats = [word for product in products for word in _words(act_payloads(spec, product))]
    results: list[list[list[int]]] = [[] for _ in products]

    async def feed(context: SimulatorContext) -> None:
        context.set(layer.act.valid, 1)
        for beat in beats:
            context.set(layer.act.payload, beat)
            await context.tick().until(layer.act.ready)
        context.set(layer.act.valid, 0)

    async def collect(context: SimulatorContext) -> None:
        context.set(layer.result.ready, 1)
        row = layer.result.payload
        for rows in results:
            last = False
            while not last:
                values, last = await context.tick().sample(row.values, row.last).until(layer.result.valid)
                rows.append([values >> bits * col & (1 << bits) - 1 for col in range(spec.cols)])

    simulator = Simulator(layer)
    simulator.add_clock(1e-8)
    simulator.add_testbench(feed)
    simulator.add_testbench(collect)
    simulator.run()
    sign = 1 << bits - 1
    schedule = products[0].schedule(spec)
    return np.stack([schedule.collect((np.array(rows) ^ sign) - sign)[0] for rows in results])


def main() -> None:
    """Simulate one product, and print it beside NumPy's."""
    random = np.random.default_rng(0)
    act, weight = random.integers(-8, 8, (4, 6)), random.integers(-8, 8, (6, 4))
    design = load_design("w8a8_os", ["array.rows=2", "array.cols=2", "tiling.max_k=16", "options.pipeline=1"])
    print("engine:\n", simulate_layer(design, act[None], weight)[0])
    print("NumPy:\n", act @ weight)


if __name__ == "__main__":
    main()
