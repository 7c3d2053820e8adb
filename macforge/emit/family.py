"""What a family's Verilog of a design has in place of portable modules: what `macforge area` counts."""

from dataclasses import dataclass

from fpga import families
from fpga.map.deliver import Delivered, deliver, deliver_memories
from hw.emit.verilog import emit_verilog
from macforge.design.design import Design

__all__ = ["FamilyModules", "family_modules"]


@dataclass(frozen=True, kw_only=True)
class FamilyModules:
    """Modules of a design's array, drain edge and memories for a family.

    Parameters
    ----------
    family : str
    command : str
        Yosys's own command for the family, which makes of the Verilog what `macforge area` counts.
    parts : tuple of Delivered
        Of the array, of the drain edge if there is one, and of the memories.
    """

    family: str
    command: str
    parts: tuple[Delivered, ...]

    @property
    def texts(self) -> dict[str, str]:
        """In place of portable modules, by their names."""
        return {name: text for part in self.parts for name, text in part.texts.items()}

    @property
    def head(self) -> str:
        """A comment for the top of the file."""
        lines = [
            f"For {families.find(self.family).title}: some modules of the array and drain edge, and memories, are in",
            "cells of the family, or are kept apart, so that synthesis makes what `macforge area` counts. Yosys:",
            f"  {self.command}",
            "",
            "Outputs of cells that nothing reads are left open:",
        ]
        return "".join(f"// {line}".rstrip() + "\n" for line in lines) + "/* verilator lint_off PINMISSING */\n//\n"

    def to_table(self) -> dict[str, object]:
        """Everything but the texts as plain data."""
        names = {
            kind: sorted({name for part in self.parts for name in getattr(part, kind)})
            for kind in ("proven", "blocks", "kept")
        }
        return {"name": self.family, "command": self.command, **names}


def family_modules(design: Design, family: str) -> FamilyModules:
    """Modules that take the place of portable ones in the Verilog of a design for a family.

    Parameters
    ----------
    design : Design
        As it is for the family, see `macforge.measure.area.fitted`.
    family : str
        A key of `fpga.families.FAMILIES` whose cells Yosys has models of.

    Raises
    ------
    ValueError
        If there is no such family.
    fpga.map.equal.UnprovenError
        If a module in cells of the family is not proven equal to the portable one.
    """
    units = [unit for unit in (design.engine.array, design.engine.edge) if unit is not None]
    dsp = design.pe.uses_dsp
    parts = [
        deliver(emit_verilog(unit, name=unit.module_name), top=unit.module_name, family=family, dsp=dsp)
        for unit in units
    ]
    parts.append(deliver_memories(emit_verilog(design.engine), family=family))
    command = families.find(family).synth(dsp=dsp, flatten=True)
    return FamilyModules(family=family, command=command, parts=tuple(parts))
