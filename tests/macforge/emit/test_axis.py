"""AXI4-Stream tops: driven by other people's models of the bus, read by three tools, and described as they are."""

import re
import subprocess

import numpy as np
import pytest

from hw.emit import yosys
from macforge import load_design
from macforge.emit.axis import AxisStream
from macforge.emit.stimulus import stimulus_of
from macforge.emit.verilog import generate_verilog
from tb.runner import Bench, run_bench
from tests.quick import few


def small(name):
    return load_design(name, ["tiling.panel_rows=4"]).resized(2)


def in_bytes(words, bits):
    """Words as tdata has them: whole bytes, the low ones first."""
    size = -(-bits // 8)
    return np.array([np.frombuffer((word & (1 << bits) - 1).to_bytes(size, "little"), np.uint8) for word in words])


def as_expected(stimulus, spec):
    """Of each product, the bytes of its results and which of their bits count; `last` is no part of them."""
    bits = spec.stream_bits["result"] - 1
    ends = np.cumsum([schedule.beats["result"] for schedule in stimulus.schedules])[:-1]
    return [np.split(in_bytes(words, bits), ends) for words in (stimulus.results, stimulus.counts)]


# parameters of all kinds; codes that are not finite, and padding; modes
@pytest.mark.parametrize("name", few(["nvfp4", "fp8_e4m3_exact", "subword_int8_int4", "w8a8_os"], 3))
def test_another_bus_model_gets_the_results_of_the_model(name):
    design = small(name)
    spec, stimulus = design.engine.spec, stimulus_of(design)
    bench = Bench(
        verilog=generate_verilog(design, axis=True).verilog,
        top=name,
        module="tests.macforge.emit.axis_bench",
        settings={"products": len(stimulus.schedules)},
        arrays={stream: in_bytes(words, spec.stream_bits[stream]) for stream, words in stimulus.inputs.items()},
        cycles=0,
        simulator="icarus",
    )
    outcome = run_bench(bench)
    assert outcome.failure is None
    for index, (expected, counts) in enumerate(zip(*as_expected(stimulus, spec), strict=True)):
        found = outcome.arrays[f"result_{index}"].reshape(expected.shape)
        np.testing.assert_array_equal(found & counts, expected & counts)


def test_tdata_has_whole_bytes_and_results_end_with_tlast():
    stream = AxisStream(stream="result", bits=65)
    assert (stream.name, stream.width, stream.padding) == ("m_axis_result", 72, 7)
    assert [port["direction"] for port in stream.ports.values()] == ["output", "output", "input", "output"]
    stream = AxisStream(stream="act", bits=64)
    assert (stream.name, stream.width, stream.padding) == ("s_axis_act", 64, 0)
    assert [port["name"] for port in stream.ports.values()] == [
        "s_axis_act_tdata",
        "s_axis_act_tvalid",
        "s_axis_act_tready",
    ]


def ports_of(verilog, top):
    """Direction, width and attributes of each port, as the text has them."""
    header = re.search(rf"^module {top} \((.*?)^\);$", verilog, re.MULTILINE | re.DOTALL)
    assert header
    found = re.findall(r"((?:  \(\* .*? \*\)\n)*)  (input|output) (?:\[(\d+):0\] )?(\w+)", header[1])
    return {
        name: {
            "direction": direction,
            "bits": int(high or 0) + 1,
            "attributes": dict(re.findall(r'(\w+) = "(.*)"', told)),
        }
        for told, direction, high, name in found
    }


@pytest.mark.parametrize("name", ["fp8_e4m3_exact", "w8a8_os"])
def test_ports_are_described_and_grouped(name, tmp_path):
    files = generate_verilog(small(name), axis=True)
    found = ports_of(files.verilog, name)
    listed = {port["name"]: (port["direction"], port["bits"]) for port in files.description["ports"]}
    assert {name: (port["direction"], port["bits"]) for name, port in found.items()} == listed
    head = files.verilog[: files.verilog.index("/*")]
    assert re.findall(r"^//   \.(\w+)\(\1\),?$", head, re.MULTILINE) == list(listed)
    widths = {
        stream: int(bits) for stream, bits in re.findall(r"^//   (\w+) \((?:in|out), tdata of (\d+) bits", head, re.M)
    }
    assert widths == {port.removesuffix("_tdata"): bits for port, (_, bits) in listed.items() if port.endswith("tdata")}
    clock, reset = (found[port].pop("attributes") for port in ("aclk", "aresetn"))
    assert clock == {
        "X_INTERFACE_INFO": "xilinx.com:signal:clock:1.0 aclk CLK",
        "X_INTERFACE_PARAMETER": f"ASSOCIATED_BUSIF {':'.join(widths)}, ASSOCIATED_RESET aresetn",
    }
    assert reset == {
        "X_INTERFACE_INFO": "xilinx.com:signal:reset:1.0 aresetn RST",
        "X_INTERFACE_PARAMETER": "POLARITY ACTIVE_LOW",
    }
    for port, told in found.items():
        if "_axis_" in port:
            interface, _, signal = port.rpartition("_")
            assert told["attributes"] == {
                "X_INTERFACE_INFO": f"xilinx.com:interface:axis:1.0 {interface} {signal.upper()}"
            }
    assert ("nonfinite" in found) == (name == "fp8_e4m3_exact")


def test_yosys_and_icarus_read_it(tmp_path):
    files = generate_verilog(small("fp8_e4m3_exact"), axis=True)
    (path,) = (each for each in files.write(tmp_path) if each.suffix == ".v")
    yosys.run(f"read_verilog {path.name}\nhierarchy -check -top {files.top}\nproc\ncheck -assert", cwd=tmp_path)
    done = subprocess.run(
        ["iverilog", "-g2005", "-Wall", "-Wno-timescale", "-t", "null", path.name],
        cwd=tmp_path,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(("prefix", "inner"), [(None, "w4a4_os_engine"), ("wide_", "wide_engine"), ("", "engine")])
def test_the_engine_is_below_with_the_prefix(prefix, inner):
    verilog = generate_verilog(small("w4a4_os"), prefix=prefix, axis=True).verilog
    assert len(re.findall(rf"^module {inner}\(", verilog, re.MULTILINE)) == 1
    assert f"\n  {inner} engine (\n" in verilog


def test_no_module_below_may_have_the_name_of_the_top(tmp_path):
    path = tmp_path / "engine.toml"
    path.write_text('family = "mac"\nact = "int4"\nweight = "int4"\n[array]\nrows = 1\ncols = 1\n')
    with pytest.raises(ValueError, match=r"^Top must have a name that no other module has, not engine$"):
        generate_verilog(load_design(path), prefix="", axis=True)
