"""Others' units: the data is whole, and ratios are ours over theirs."""

import pytest

from macforge.design.named import design_names
from macforge.measure.peers import COLUMNS, Peer, beside, load_peers

UNIT = Peer(
    name="unit", source="them", computes="a x b", products=4, xc7_lut=400, ecp5_lut=800, flow="synth", ours=("x", "y")
)
DSP = Peer(name="dsp", source="them", computes="a x b", products=2, xc7_lut=100, xc7_dsp=1, flow="synth", ours=("x",))
DESIGNS = [
    {"design": "x", "xc7_lut_per_mac": 50.0, "ecp5_lut_per_mac": 100.0},
    {"design": "y", "xc7_lut_per_mac": 200.0, "ecp5_lut_per_mac": 20.0},
    {"design": "z", "xc7_lut_per_mac": 1.0, "ecp5_lut_per_mac": 1.0},
]


def test_each_measured_design_stands_beside_its_peer():
    rows = beside([UNIT], DESIGNS)
    assert [set(COLUMNS) - set(row) for row in rows] == [set(), set()]
    assert [(row["ours"], row["xc7_ratio"], row["ecp5_ratio"]) for row in rows] == [("x", 0.5, 0.5), ("y", 2.0, 0.1)]
    assert [(row["xc7_lut"], row["ecp5_lut"]) for row in rows] == [(100.0, 200.0)] * 2


def test_a_peer_without_a_measured_design_stands_alone():
    (row,) = beside([UNIT], DESIGNS[2:])
    assert (row["name"], row["xc7_lut"]) == ("unit", 100.0)
    assert {row[key] for key in ("ours", "ours_xc7_lut", "xc7_ratio", "ours_ecp5_lut", "ecp5_ratio")} == {None}


def test_units_with_dsp_blocks_have_no_ratio():
    (row,) = beside([DSP], DESIGNS)
    assert (row["ours"], row["ours_xc7_lut"], row["xc7_dsp"]) == ("x", 50.0, 0.5)
    assert {row[key] for key in ("xc7_ratio", "ecp5_ratio", "ecp5_lut", "fmax_mhz")} == {None}


def test_the_data_names_designs_and_flows():
    peers = load_peers()
    assert len({peer.name for peer in peers}) == len(peers)
    assert {name for peer in peers for name in peer.ours} <= set(design_names())
    for peer in peers:
        assert ("-nodsp" in peer.flow) == (peer.xc7_dsp == 0)
        assert peer.flow.startswith("synth_xilinx -family xc7 -flatten")
        assert (peer.ecp5_lut is None) == (peer.xc7_dsp > 0)


@pytest.mark.parametrize(
    "name, xc7, ecp5",
    [
        ("XtraMAC INT8", 171, 344.5),
        ("XtraMAC FP8 x FP8", 250.75, 434),
        ("MX dot of 32, E2M1", 41.71875, 89.28125),
        ("FINN MVU 8 x 8, behavioural", 244.15625, 424.5),
    ],
)
def test_figures_are_for_each_product(name, xc7, ecp5):
    (row,) = [row for row in beside(load_peers(), []) if row["name"] == name]
    assert (row["xc7_lut"], row["ecp5_lut"]) == (xc7, ecp5)
