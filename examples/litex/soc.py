"""A LiteX system with an accelerator: a RISC-V CPU, SDRAM, and the accelerator on a port of LiteDRAM of its own.

`python soc.py sim|ulx3s --accelerator NAME_accelerator.json --output FOLDER` writes headers for the firmware; with
`--firmware FILE` also the sources of the simulator, or the bitstream. Run by the Makefile, in LiteX's environment.
"""

import argparse
import json
import os
from pathlib import Path

from litedram.frontend.axi import LiteDRAMAXI2Native
from litedram.modules import MT48LC16M16
from litedram.phy.model import SDRAMPHYModel
from litex.build.generic_platform import Pins, Subsignal
from litex.build.sim import SimPlatform
from litex.build.sim.config import SimConfig
from litex.build.sim.platform import SimFinish
from litex.gen import LiteXModule
from litex.soc.integration.builder import Builder
from litex.soc.integration.common import get_mem_data
from litex.soc.integration.soc import SoCRegion
from litex.soc.integration.soc_core import SoCCore
from litex.soc.interconnect.axi import AXIInterface, AXILiteInterface
from litex.soc.interconnect.csr_eventmanager import EventManager, EventSourceLevel
from litex_boards.targets import radiona_ulx3s
from migen import ClockSignal, Instance, ResetSignal
from migen.genlib.io import CRG

__all__ = ["Accelerator", "BoardSoC", "SimulatedSoC", "add_accelerator", "main"]

CLOCK_HZ = 50e6
ROM_BYTES = 0x8000
REGISTERS = SoCRegion(origin=0x9000_0000, size=0x1000, cached=False)
"""Where the CPU sees the accelerator's registers: outside of what it caches."""


class Accelerator(LiteXModule):
    """macforge's accelerator, its interrupt as an event of LiteX.

    Parameters
    ----------
    top : str
        Its module in the Verilog file.
    control : AXILiteInterface
        The registers.
    memory : AXIInterface
        Where operands are read and results are written.
    """

    def __init__(self, top: str, control: AXILiteInterface, memory: AXIInterface) -> None:
        self.ev = EventManager()
        self.ev.accelerator = EventSourceLevel(description="The accelerator's interrupt is pending.")
        self.ev.finalize()
        self.specials += Instance(
            top,
            i_clk=ClockSignal("sys"),
            i_rst=ResetSignal("sys"),
            o_irq=self.ev.accelerator.trigger,
            **_control_ports(control),
            **_memory_ports(memory),
        )


def _control_ports(bus: AXILiteInterface) -> dict[str, object]:
    # the bus gives whole addresses, of which the low bits are the offset of a register
    return {
        "i_s_axi_ctrl_awaddr": bus.aw.addr[:8],
        "i_s_axi_ctrl_awprot": bus.aw.prot,
        "i_s_axi_ctrl_awvalid": bus.aw.valid,
        "o_s_axi_ctrl_awready": bus.aw.ready,
        "i_s_axi_ctrl_wdata": bus.w.data,
        "i_s_axi_ctrl_wstrb": bus.w.strb,
        "i_s_axi_ctrl_wvalid": bus.w.valid,
        "o_s_axi_ctrl_wready": bus.w.ready,
        "o_s_axi_ctrl_bresp": bus.b.resp,
        "o_s_axi_ctrl_bvalid": bus.b.valid,
        "i_s_axi_ctrl_bready": bus.b.ready,
        "i_s_axi_ctrl_araddr": bus.ar.addr[:8],
        "i_s_axi_ctrl_arprot": bus.ar.prot,
        "i_s_axi_ctrl_arvalid": bus.ar.valid,
        "o_s_axi_ctrl_arready": bus.ar.ready,
        "o_s_axi_ctrl_rdata": bus.r.data,
        "o_s_axi_ctrl_rresp": bus.r.resp,
        "o_s_axi_ctrl_rvalid": bus.r.valid,
        "i_s_axi_ctrl_rready": bus.r.ready,
    }


def _memory_ports(bus: AXIInterface) -> dict[str, object]:
    return {
        "o_m_axi_awid": bus.aw.id,
        "o_m_axi_awaddr": bus.aw.addr,
        "o_m_axi_awlen": bus.aw.len,
        "o_m_axi_awsize": bus.aw.size,
        "o_m_axi_awburst": bus.aw.burst,
        "o_m_axi_awlock": bus.aw.lock,
        "o_m_axi_awcache": bus.aw.cache,
        "o_m_axi_awprot": bus.aw.prot,
        "o_m_axi_awvalid": bus.aw.valid,
        "i_m_axi_awready": bus.aw.ready,
        "o_m_axi_wdata": bus.w.data,
        "o_m_axi_wstrb": bus.w.strb,
        "o_m_axi_wlast": bus.w.last,
        "o_m_axi_wvalid": bus.w.valid,
        "i_m_axi_wready": bus.w.ready,
        "i_m_axi_bid": bus.b.id,
        "i_m_axi_bresp": bus.b.resp,
        "i_m_axi_bvalid": bus.b.valid,
        "o_m_axi_bready": bus.b.ready,
        "o_m_axi_arid": bus.ar.id,
        "o_m_axi_araddr": bus.ar.addr,
        "o_m_axi_arlen": bus.ar.len,
        "o_m_axi_arsize": bus.ar.size,
        "o_m_axi_arburst": bus.ar.burst,
        "o_m_axi_arlock": bus.ar.lock,
        "o_m_axi_arcache": bus.ar.cache,
        "o_m_axi_arprot": bus.ar.prot,
        "o_m_axi_arvalid": bus.ar.valid,
        "i_m_axi_arready": bus.ar.ready,
        "i_m_axi_rid": bus.r.id,
        "i_m_axi_rdata": bus.r.data,
        "i_m_axi_rresp": bus.r.resp,
        "i_m_axi_rlast": bus.r.last,
        "i_m_axi_rvalid": bus.r.valid,
        "o_m_axi_rready": bus.r.ready,
    }


def add_accelerator(soc: SoCCore, description: Path) -> None:
    """Put an accelerator into a system that has an SDRAM.

    The accelerator sees the SDRAM at the CPU's addresses. Its port checks none of them: an address outside of the SDRAM
    is one inside of it, modulo its size.

    Parameters
    ----------
    soc : SoCCore
    description : path
        The JSON file that `macforge verilog --accelerator` writes; the Verilog file lies beside it.
    """
    table = json.loads(description.read_text())
    bits = {port["name"]: port["bits"] for port in table["ports"]}
    control = AXILiteInterface(data_width=32, address_width=32)
    memory = AXIInterface(
        data_width=bits["m_axi_rdata"], address_width=bits["m_axi_araddr"], id_width=bits["m_axi_arid"]
    )
    soc.platform.add_source(str(description.with_suffix(".v").resolve()))
    soc.add_module(name="accelerator", module=Accelerator(table["top"], control, memory))
    soc.bus.add_slave("accelerator", control, region=REGISTERS)
    soc.add_module(
        name="accelerator_port",
        module=LiteDRAMAXI2Native(
            memory,
            soc.sdram.crossbar.get_port(data_width=memory.data_width),
            base_address=soc.bus.regions["main_ram"].origin,
        ),
    )
    # serv takes no interrupts: there, software reads the event
    if soc.irq.enabled:
        soc.irq.add("accelerator", use_loc_if_exists=True)


class SimulatedSoC(SoCCore):
    """The system in Verilator, with a model of the board's SDRAM; the firmware ends the simulation."""

    def __init__(self, **settings: object) -> None:
        console = [f"{side}_{name}" for side in ("source", "sink") for name in ("valid", "ready")]
        data = [Subsignal(name, Pins(8)) for name in ("source_data", "sink_data")]
        serial = ("serial", 0, *(Subsignal(name, Pins(1)) for name in console), *data)
        platform = SimPlatform("SIM", [("sys_clk", 0, Pins(1)), serial])
        self.crg = CRG(platform.request("sys_clk"))
        super().__init__(platform, clk_freq=CLOCK_HZ, uart_name="sim", **settings)
        module = MT48LC16M16(CLOCK_HZ, "1:1")
        self.sdrphy = SDRAMPHYModel(module=module, data_width=16, clk_freq=CLOCK_HZ)
        self.add_sdram("sdram", phy=self.sdrphy, module=module, l2_cache_size=0)
        self.sim_finish = SimFinish()
        self.comb += platform.trace.eq(0)
        # the model needs no time to start
        self.add_config("BIOS_NO_DELAYS")


class BoardSoC(radiona_ulx3s.BaseSoC):
    """The system on a ULX3S with an LFE5U-85F; SDRAM of 32 MiB and 16 bits, serial line at 115200 baud."""

    def __init__(self, **settings: object) -> None:
        super().__init__(
            device="LFE5U-85F", sys_clk_freq=CLOCK_HZ, with_led_chaser=False, l2_size=0, uart_name="serial", **settings
        )


def write_linker_arguments(soc: SoCCore, output: Path) -> None:
    """Where picolibc's linker script puts the program."""
    rom, sram = soc.bus.regions["rom"], soc.bus.regions["sram"]
    symbols = {
        "__flash": rom.origin,
        "__flash_size": rom.size,
        "__ram": sram.origin,
        "__ram_size": sram.size,
        "__stack_size": 0x800,
    }
    output.mkdir(parents=True, exist_ok=True)
    lines = [f"-Wl,--defsym={name}={value:#x}\n" for name, value in symbols.items()]
    (output / "linker.args").write_text("".join(lines))


def main() -> None:
    """Write headers, or build."""
    parser = argparse.ArgumentParser(description="Write headers, or build.")
    parser.add_argument("target", choices=["sim", "ulx3s"])
    parser.add_argument("--cpu", choices=["serv", "vexriscv"], required=True)
    parser.add_argument("--accelerator", type=Path, required=True)
    parser.add_argument("--firmware", type=Path)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    rom = get_mem_data(str(arguments.firmware), data_width=32, endianness="little") if arguments.firmware else []
    settings = {"cpu_type": arguments.cpu, "integrated_rom_size": ROM_BYTES, "integrated_rom_init": rom}
    simulated = arguments.target == "sim"
    soc = SimulatedSoC(**settings) if simulated else BoardSoC(**settings)
    add_accelerator(soc, arguments.accelerator)
    if arguments.firmware is None:
        write_linker_arguments(soc, arguments.output)
    builder = Builder(soc, output_dir=str(arguments.output), compile_software=False)
    if simulated:
        config = SimConfig()
        config.add_clocker("sys_clk", freq_hz=int(CLOCK_HZ))
        config.add_module("serial2console", "serial")
        builder.build(sim_config=config, run=False, jobs=os.cpu_count(), opt_level="O2")
    else:
        # without `timingstrict`, a bitstream is written though it is too slow
        builder.build(run=arguments.firmware is not None, timingstrict=True, seed=arguments.seed)


if __name__ == "__main__":
    main()
