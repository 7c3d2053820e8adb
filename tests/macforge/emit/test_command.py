"""The command that writes Verilog: what each option adds, and what is refused before anything is written."""

import pytest

SETTINGS = ["--set", "array.rows=2", "--set", "array.cols=2", "--set", "tiling.panel_rows=4"]
DESIGN = ["w4a4_os.v", "w4a4_os.json"]
BENCH = ["w4a4_os_tb.v", *(f"w4a4_os_tb_{name}.hex" for name in ("command", "act", "weight", "result", "counts"))]
MORE = ["w4a4_os.core", "w4a4_os.xdc", "component.xml", "vivado.tcl", "README.md"]


@pytest.mark.parametrize(
    ("options", "files"),
    [
        ([], DESIGN),
        (["--axis"], DESIGN),
        (["--testbench"], [*DESIGN, *BENCH]),
        (["--axis", "--testbench"], [*DESIGN, *BENCH]),
        (["--package"], [f"w4a4_os/{name}" for name in (*DESIGN, *BENCH, *MORE)]),
    ],
)
def test_options_add_files(options, files, macforge, tmp_path):
    code, out, _ = macforge("verilog", "w4a4_os", *options, *SETTINGS, "-o", tmp_path)
    assert code == 0
    assert out.splitlines() == [str(tmp_path / name) for name in files]
    assert sorted(path for path in tmp_path.rglob("*") if path.is_file()) == sorted(tmp_path / name for name in files)
    (verilog,) = (path for path in tmp_path.rglob("w4a4_os.v"))
    assert ("m_axis_result_tdata" in verilog.read_text()) == ("--axis" in options or "--package" in options)


def test_a_file_in_the_place_of_the_package_stays(macforge, tmp_path):
    (tmp_path / "w4a4_os").write_text("mine")
    code, _, error = macforge("verilog", "w4a4_os", "--package", *SETTINGS, "-o", tmp_path)
    assert code != 0
    assert error.count("\n") == 1 and f"{tmp_path / 'w4a4_os'}" in error
    assert [path.name for path in tmp_path.iterdir()] == ["w4a4_os"]
    assert (tmp_path / "w4a4_os").read_text() == "mine"
