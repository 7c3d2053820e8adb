"""The report's page in a real browser: drawn without a complaint or a network, and its tables sort and filter."""

import shutil

import pytest

from macforge.measure.sizes import ACCURACY, COLUMNS
from macforge.report import charts
from macforge.report.page import write_report
from macforge.report.report import Report

CHROMIUM = shutil.which("chromium")

# design, processing element, size on xc7 and ecp5, SQNR
DESIGNS = [
    ("small", "table", (9.0, 12.0), 10.0),
    ("middle", "mac", (40.0, 60.0), 20.0),
    ("beaten", "mac", (50.0, 70.0), 15.0),
    ("large", "float", (100.0, 180.0), 35.0),
]


def size_row(design, pe, fpga, size, sqnr_db):
    fmax = 150.0 if fpga == "ecp5" else None
    return {
        **dict.fromkeys(COLUMNS),
        **{"design": design, "pe": pe, "operands": "int8 x int4", "dataflow": "output-stationary", "fpga": fpga},
        **{"unit": "LUT6", "size_per_mac": size, "cells_per_mac": 0.75 * size, "edges_per_mac": 0.25 * size},
        **{"drain_per_mac": 2.0, "ratio": 0.5, "int8_ratio": size / 166, "levels": 7, "sqnr_db": sqnr_db},
        **{"fmax_mhz": fmax, "mmacs_per_unit": fmax and fmax / size, "command": "macforge area"},
    }


SIZES = [
    size_row(name, pe, fpga, size, sqnr_db)
    for name, pe, sizes, sqnr_db in DESIGNS
    for fpga, size in zip(("xc7", "ecp5"), sizes, strict=True)
]


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    row = dict.fromkeys(Report.COLUMNS) | {"design": "small", "failure": None, "tokens": 2, "verified": True}
    row |= {
        f"{family}_{key}": [] if key == "modes" else "synth" for family in ("xc7", "ecp5") for key in ("modes", "flow")
    }
    report = Report(
        layer="a </script> layer", shape=(2, 3, 4), rows=[row], sizes=SIZES, finding=None, tools={"yosys": "0.70"}
    )
    return write_report(report, tmp_path_factory.mktemp("page"))[0]


@pytest.fixture
def page(path):
    if CHROMIUM is None:
        pytest.skip("needs a browser: apt-get install chromium")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as running:
        # what the tests are run as may be root, whom the sandbox refuses
        browser = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(offline=True)
        page.complaints = []
        page.on("console", lambda message: page.complaints.append(message.text))
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        page.on("request", lambda request: page.complaints.extend([request.url] * request.url.startswith("http")))
        page.goto(path.as_uri())
        page.wait_for_selector("#charts svg")
        page.wait_for_selector("table.dataTable")
        yield page
        browser.close()


def first_table(page):
    table = page.locator("table.dataTable").first
    return table, lambda: table.locator("tbody tr td:first-child").all_inner_texts()


def test_page_is_drawn_without_a_complaint(page):
    _, designs = first_table(page)
    assert designs() == [row["design"] for row in SIZES]
    assert page.locator("#family select option").all_inner_texts() == ["xc7", "ecp5"]
    # whose chart of throughput is not empty
    assert page.locator("#family select").input_value() == "ecp5"
    drawn = page.locator("#charts svg").first.bounding_box()
    assert drawn["width"] > 500 and drawn["height"] > 500
    assert page.complaints == []


def test_charts_change_with_the_family(page):
    bars = page.locator("#charts path[aria-label^='million products']")
    bars.first.wait_for(state="attached")
    assert bars.count() == len(DESIGNS)
    page.locator("#family select").select_option("xc7")
    # there is no place and route, and so no throughput
    bars.first.wait_for(state="detached")
    assert page.locator("#charts path[aria-label*='cells']").count() >= len(DESIGNS)


def test_tables_sort_and_filter(page):
    table, designs = first_table(page)
    heading = table.locator("th", has_text="size/MAC")
    for order, sign in (("ascending", 1), ("descending", -1)):
        heading.click()
        table.locator(f"th[aria-sort={order}]").wait_for()
        assert designs() == [row["design"] for row in sorted(SIZES, key=lambda row: sign * row["size_per_mac"])]
    page.locator("input[type=search]").first.fill("beaten")
    table.locator("tbody tr:nth-child(3)").wait_for(state="detached")
    assert designs() == ["beaten", "beaten"]
    assert page.complaints == []


def test_front_is_what_nothing_beats():
    best = [row["design"] for row in SIZES if charts.on_front(row, SIZES, "sqnr_db")]
    assert best == ["small", "small", "middle", "middle", "large", "large"]
    assert not charts.on_front({**SIZES[0], "sqnr_db": None}, SIZES, "sqnr_db")


def test_each_figure_of_accuracy_has_a_legend_of_its_own_to_choose_from():
    rows = [{**row, "cosine_mean": 0.9} for row in SIZES]
    names = [each["name"] for each in charts.chart_spec(rows, accuracy=ACCURACY)["params"]]
    assert [f"chosen_{key}" for key in ACCURACY] == [name for name in names if name != "fpga"]


def test_charts_show_the_figures_of_accuracy_that_there_are():
    titles = [
        chart["title"] for chart in charts.chart_spec(SIZES, accuracy={"sqnr_db": ACCURACY["sqnr_db"]})["vconcat"]
    ]
    assert [title.partition(":")[0] for title in titles] == [
        "Size of a product",
        "SQNR dB against size",
        "Throughput for its size, where there is open place and route",
    ]
