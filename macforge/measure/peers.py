"""What others' units cost, as measured once, beside designs that do the same."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

__all__ = ["COLUMNS", "NOTE", "Peer", "beside", "load_peers"]

COLUMNS = {
    "name": "unit",
    "source": "source",
    "computes": "computes",
    "products": "products/cycle",
    "xc7_lut": "xc7 LUT/product",
    "xc7_dsp": "xc7 DSP/product",
    "ecp5_lut": "ECP5 LUT/product",
    "fmax_mhz": "ECP5 Fmax MHz",
    "ours": "ours",
    "ours_xc7_lut": "xc7 LUT/product, ours",
    "xc7_ratio": "xc7 ratio",
    "ours_ecp5_lut": "ECP5 LUT/product, ours",
    "ecp5_ratio": "ECP5 ratio",
}
"""What a table of peers shows."""

NOTE = (
    "Others' figures are not measured in the same run. They were measured once, of open units, each mapped by itself "
    "with yosys 0.70 and placed and routed with nextpnr-ecp5 0.11; report.json has the flows. They are without DSP "
    "blocks, except where the table has some. Where a unit's configurations differ, the figures are those of the "
    "smallest, and Fmax is the highest without pipeline stages added. Ours are what this report measured of designs "
    "that do the same: arrays with their edges, without the drain edge; a ratio is ours over theirs. Sums differ: of "
    "floats, ours are exact unless the design says otherwise, and others' are rounded; dots of 32 are not accumulated."
)
"""What to know about its figures."""


@dataclass(frozen=True, kw_only=True)
class Peer:
    """A unit of somebody else's, its figures those of ``peers.toml``.

    Parameters
    ----------
    name, source, computes : str
        The unit, its project, and what it adds up.
    products : int
        Products a cycle.
    xc7_lut : int
        LUT of the unit; the least, where its configurations differ.
    xc7_dsp : int
        DSP blocks that it takes besides.
    ecp5_lut : int or None
        LUT-equivalents without DSP blocks: LUT4, and two for each CCU2C; None if not measured.
    fmax_mhz : int or None
        Fmax on ECP5 without DSP blocks, the highest; None if not measured.
    flow : str
        What mapped it for xc7.
    ours : sequence of str
        Named designs that do the same.
    """

    name: str
    source: str
    computes: str
    products: int
    xc7_lut: int
    xc7_dsp: int = 0
    ecp5_lut: int | None = None
    fmax_mhz: int | None = None
    flow: str
    ours: Sequence[str] = ()

    def to_table(self) -> dict[str, Any]:
        """Plain data, with resources for each product a cycle; but for `ours`."""
        return {
            "name": self.name,
            "source": self.source,
            "computes": self.computes,
            "products": self.products,
            "xc7_lut": self.xc7_lut / self.products,
            "xc7_dsp": self.xc7_dsp / self.products if self.xc7_dsp else None,
            "ecp5_lut": self.ecp5_lut / self.products if self.ecp5_lut is not None else None,
            "fmax_mhz": self.fmax_mhz,
            "flow": self.flow,
        }


def load_peers() -> tuple[Peer, ...]:
    """Every peer, in the order of the data file."""
    table = tomllib.loads((resources.files("macforge.measure") / "peers.toml").read_text(encoding="utf-8"))
    return tuple(Peer(**{**unit, "flow": table["flows"][unit["flow"]]}) for unit in table["unit"])


def beside(peers: Sequence[Peer], designs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Each peer with each of its designs that were measured, or alone if none was.

    Parameters
    ----------
    peers : sequence of Peer
    designs : sequence of dict
        Rows of a report, each with ``design``, ``xc7_lut_per_mac`` and ``ecp5_lut_per_mac``.

    Returns
    -------
    list of dict
        Figures for each product a cycle, ratios being ours over theirs; None where there is nothing to say.
    """
    measured = {row["design"]: row for row in designs}
    return [
        {**peer.to_table(), **_ours(peer, measured.get(name))}
        for peer in peers
        for name in [name for name in peer.ours if name in measured] or [None]
    ]


def _ours(peer: Peer, row: Mapping[str, Any] | None) -> dict[str, Any]:
    """A design's figures and their ratio to the peer's; DSP blocks cannot be compared with LUT."""
    found: dict[str, Any] = {"ours": row["design"] if row is not None else None}
    theirs = {"xc7": peer.xc7_lut if not peer.xc7_dsp else None, "ecp5": peer.ecp5_lut}
    for fpga, lut in theirs.items():
        ours = row.get(f"{fpga}_lut_per_mac") if row is not None else None
        found[f"ours_{fpga}_lut"] = ours
        found[f"{fpga}_ratio"] = ours * peer.products / lut if ours is not None and lut is not None else None
    return found
