"""The report's page in a real browser: drawn without a complaint or a network, and its tables sort and filter."""

import json
import shutil
from dataclasses import replace

import pytest

from macforge.model.pareto import Front
from macforge.progress import State
from macforge.report import charts
from macforge.report.page import GrowingFiles, write_report
from macforge.report.rows import Slot
from macforge.report.sizes import ACCURACY
from tests.macforge.report.made_up import SLOTS, front_table, made_up_report, made_up_row

CHROMIUM = shutil.which("chromium")

# design, size on xc7 and ecp5, SQNR
DESIGNS = [
    ("ternary_lut_a8", (9.0, 12.0), 10.0),
    ("w4a8_ws", (40.0, 60.0), 20.0),
    ("w8a8_ws", (50.0, 70.0), 15.0),
    ("fp8_e4m3_exact", (100.0, 180.0), 35.0),
]
LABELS = "all => all.map(each => each.getAttribute('aria-label'))"
NAMES = [name for name, *_ in DESIGNS]
ROWS = [made_up_row(name, xc7=xc7, ecp5=ecp5, sqnr_db=sqnr) for name, (xc7, ecp5), sqnr in DESIGNS]
REPORT = made_up_report(ROWS)
SIZES = REPORT.sizes


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return write_report(REPORT, tmp_path_factory.mktemp("page"))[0]


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        pytest.skip("needs a browser: apt-get install chromium")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as running:
        # what the tests are run as may be root, whom the sandbox refuses
        browser = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser):
    """Opens a page of ours, and notes what it complains about."""
    page = browser.new_page(offline=True)

    def call(path):
        page.complaints = []
        page.on("console", lambda message: page.complaints.append(message.text))
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        page.on("request", lambda request: page.complaints.extend([request.url] * request.url.startswith("http")))
        page.goto(path.as_uri())
        page.wait_for_selector("#charts svg.marks")
        page.wait_for_selector("table.dataTable")
        return page

    yield call
    page.close()


@pytest.fixture
def page(open_page, path):
    return open_page(path)


def cells(page, table):
    """The table, and a function that gives the texts of its first column."""
    table = page.locator(f"table#{table}")
    return table, lambda: table.locator("tbody tr td:first-child").all_inner_texts()


def test_page_is_drawn_without_a_complaint(page):
    assert cells(page, "designs")[1]() == NAMES
    assert cells(page, "sizes")[1]() == [row["design"] for row in SIZES]
    assert page.locator("#family select option").all_inner_texts() == ["Xilinx 7 series", "Lattice ECP5"]
    # whose chart of throughput is not empty
    assert page.locator("#family select").input_value() == "ecp5"
    assert page.locator("#charts svg.marks").count() == 3
    drawn = page.locator("#charts svg.marks").first.bounding_box()
    assert drawn["width"] > 500 and drawn["height"] > 400
    assert "Complete: 16 steps" in page.locator(".state").inner_text()
    assert page.complaints == []


@pytest.mark.parametrize(("width", "beside"), [(1920, True), (1280, False), (800, False)])
def test_charts_fill_the_width_and_stand_beside_each_other_where_there_is_room(page, width, beside):
    page.set_viewport_size({"width": width, "height": 1000})
    page.reload()
    page.wait_for_selector("#charts svg.marks >> nth=2")
    first, second = (page.locator("#charts svg.marks").nth(i).bounding_box() for i in range(2))
    assert (first["y"] == second["y"]) is beside
    assert first["x"] + first["width"] <= width
    assert first["width"] > 0.8 * width / (1 + beside)
    # the page itself does not scroll sideways, wide tables do
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.complaints == []


def test_names_in_charts_do_not_overlap(page):
    names = page.locator("#charts svg.marks").first.locator("g.mark-text.role-mark text")
    boxes = [names.nth(i).bounding_box() for i in range(names.count())]
    assert len(boxes) == 3
    apart = [
        a["y"] + a["height"] <= b["y"] + 3 or b["y"] + b["height"] <= a["y"] + 3 or a["x"] + a["width"] <= b["x"]
        for i, a in enumerate(boxes)
        for b in boxes[i + 1 :]
    ]
    assert all(apart)


def test_charts_change_with_the_family(page):
    bars = page.locator("#charts path[aria-label^='MMAC/s']")
    bars.first.wait_for(state="attached")
    assert bars.count() == len(DESIGNS)
    page.locator("#family select").select_option("xc7")
    # there is no place and route, and so no throughput
    bars.first.wait_for(state="detached")
    assert page.locator("#charts path[aria-label*='cells']").count() >= len(DESIGNS)


def test_tables_sort_and_filter(page):
    table, designs = cells(page, "sizes")
    heading = table.locator("th", has_text="LUT/MAC").first
    for order, sign in (("ascending", 1), ("descending", -1)):
        heading.click()
        table.locator(f"th[aria-sort={order}]").wait_for()
        assert designs() == [row["design"] for row in sorted(SIZES, key=lambda row: sign * row["size_per_mac"])]
    page.locator("#sizes_wrapper input[type=search]").fill("w8a8_ws")
    table.locator("tbody tr:nth-child(3)").wait_for(state="detached")
    assert designs() == ["w8a8_ws", "w8a8_ws"]
    table, designs = cells(page, "designs")
    table.locator("th", has_text="SQNR").click()
    table.locator("th[aria-sort=ascending]").wait_for()
    assert designs() == ["ternary_lut_a8", "w8a8_ws", "w4a8_ws", "fp8_e4m3_exact"]
    assert page.complaints == []


def test_columns_have_the_names_of_the_field_and_stand_below_their_family(page):
    table, _ = cells(page, "designs")
    groups = [text for text in table.locator("tr.groups th").all_inner_texts() if text]
    assert groups == ["Xilinx 7 series, LUT6", "Lattice ECP5, LUT4"]
    titles = [" ".join(text.split()) for text in table.locator("thead tr:last-child th").all_inner_texts()]
    each = ["LUT/MAC", "LUT ratio", "FF/MAC", "drain LUT/MAC"]
    assert titles[:7] == ["design", "act", "weight", "verified", "SQNR dB", "cycles", "MAC/cycle"]
    assert titles[7:] == ["utilization", *each, *each, "Fmax MHz", "PE", "product", "dataflow"]


def test_front_is_what_nothing_beats():
    best = [row["design"] for row in SIZES if charts.on_front(row, SIZES, "sqnr_db")]
    assert best == ["ternary_lut_a8"] * 2 + ["w4a8_ws"] * 2 + ["fp8_e4m3_exact"] * 2
    assert not charts.on_front({**SIZES[0], "sqnr_db": None}, SIZES, "sqnr_db")


def test_names_of_close_points_are_moved_apart():
    assert charts.label_heights([1.0, 1.2, 1.3, 9.0], 1.0) == [1.0, 2.0, 3.0, 9.0]


def test_each_figure_of_accuracy_has_a_legend_of_its_own_to_choose_from():
    rows = [{**row, "cosine_mean": 0.9} for row in SIZES]
    specs = charts.chart_specs(rows, accuracy=ACCURACY)
    names = [each["name"] for spec in specs for each in spec["params"]]
    assert [f"chosen_{key}" for key in ACCURACY] == [name for name in names if name != "fpga"]
    assert names.count("fpga") == len(specs) == 4


def test_charts_show_the_figures_that_there_are():
    def titles(rows):
        specs = charts.chart_specs(rows, accuracy={"sqnr_db": ACCURACY["sqnr_db"]})
        return [spec["title"]["text"] for spec in specs]

    assert titles(SIZES) == ["SQNR dB against LUT/MAC", "LUT/MAC", "MMAC/s/LUT"]
    assert titles([row for row in SIZES if row["fpga"] == "xc7"]) == ["SQNR dB against LUT/MAC", "LUT/MAC"]
    assert titles([{**row, "unit": "transistors"} for row in SIZES])[1] == "size/MAC"


def test_use_is_a_line_for_each_design():
    use = [{"design": name, "rows": m, "use": 0.9} for name in ("w8a8_os", "mxfp4") for m in (1, 16)]
    (spec,) = (
        spec
        for spec in charts.chart_specs(SIZES, accuracy={}, use=use)
        if spec["title"]["text"] == "Use of array and bus"
    )
    assert spec["datasets"][spec["data"]["name"]] == use
    assert (spec["encoding"]["x"]["field"], spec["encoding"]["color"]["field"]) == ("rows", "design")


def test_use_in_a_report_is_what_was_measured_of_it():
    row = made_up_row("w8a8_os")
    row = replace(row, found={**row.found, Slot("use"): {"use_1": 0.5, "use_64": 0.75}})
    assert made_up_report([row, made_up_row("mxfp4")]).use == [
        {"design": "w8a8_os", "rows": 1, "use": 0.5},
        {"design": "w8a8_os", "rows": 64, "use": 0.75},
    ]


@pytest.fixture(scope="module")
def fronts(tmp_path_factory):
    """Two, along different budgets, as they are read."""
    paths = [tmp_path_factory.mktemp("fronts") / f"{budget}.json" for budget in ("bytes", "cycles")]
    for path in paths:
        path.write_text(json.dumps(front_table(path.stem)))
    return tuple(map(Front.load, paths))


def test_choices_of_designs_for_layers_have_a_chart_and_a_table(open_page, fronts, tmp_path):
    files = write_report(replace(REPORT, fronts=fronts), tmp_path)
    page = open_page(files[0])
    page.wait_for_selector("#fronts svg.marks >> nth=1")
    titles = page.locator("#fronts g.role-title-text text").all_text_contents()
    assert [title for title in titles if "small.gguf" in title] == [
        "Loss of small.gguf against bytes",
        "Loss of small.gguf against cycles",
    ]
    # the line's two points, and those of the others
    drawn = page.locator("#fronts > div").first.locator("path[aria-roledescription='point']")
    labels = [label.partition(";")[0] for label in drawn.evaluate_all(LABELS)]
    assert sorted(labels) == ["bytes: 1000", "bytes: 1200", "bytes: 1200", "bytes: 900"]
    assert page.locator("#fronts svg.marks").first.bounding_box()["width"] > 500
    table, choices = cells(page, "front1")
    assert choices() == ["best within 900", "best within 1,200", "tuned", "all on mxfp4"]
    table.locator("th", has_text="loss").click()
    table.locator("th[aria-sort=ascending]").wait_for()
    assert choices() == ["best within 1,200", "tuned", "best within 900", "all on mxfp4"]
    # nothing was counted of engines
    assert table.locator("thead th").all_inner_texts() == ["choice", "layers", "loss", "cycles", "bytes"]
    assert page.complaints == []
    # the other charts follow the family still
    page.locator("#family select").select_option("xc7")
    page.locator("#charts path[aria-label^='MMAC/s']").first.wait_for(state="detached")
    texts = [path.read_text() for path in files]
    assert "### small.gguf, less cycles" in texts[1] and "| best within 900 | 15 | 0.50000 | 9,000 | 900 |" in texts[1]
    assert [front["budget"] for front in json.loads(texts[3])["fronts"]] == ["bytes", "cycles"]


def test_a_front_is_drawn_where_there_is_nothing_else_to_draw(browser, fronts, tmp_path):
    report = made_up_report([made_up_row("w8a8_ws", without=SLOTS)], fronts=fronts[:1], is_interrupted=True)
    page = browser.new_page(offline=True)
    page.goto(write_report(report, tmp_path)[0].as_uri())
    page.wait_for_selector("#fronts svg.marks")
    assert page.locator("#charts").count() == 0
    page.close()


def test_without_a_front_there_is_no_section_of_it(path):
    text = path.read_text()
    assert "A design for each layer" not in text and 'id="fronts"' not in text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        json.dumps(front_table(front=None)),
        json.dumps(front_table(choices=[])),
        json.dumps(front_table("lut")),
        json.dumps(front_table(choices=[{**front_table()["choices"][-1], "loss": None}])),
    ],
)
def test_another_file_is_no_front(text, tmp_path):
    (tmp_path / "other.json").write_text(text)
    with pytest.raises(
        ValueError, match=r"^Front must be what `macforge model tune --front NAME --json` has printed, "
    ):
        Front.load(tmp_path / "other.json")


class TestGrowing:
    """A page that is being made says so, and is whole at any time."""

    PART = made_up_report(
        [
            made_up_row("w8a8_ws"),
            made_up_row("w4a8_ws", without=SLOTS[2:]),
            made_up_row("mxfp4", without=SLOTS),
        ]
    )

    def text(self, report, folder):
        write_report(report, folder)
        return {name: (folder / f"report.{name}").read_text() for name in ("html", "md", "json")}

    def test_it_says_how_much_is_done_and_what_is_still_to_come(self, tmp_path):
        text = self.text(self.PART, tmp_path)
        to_come = (
            "verification of 1 design; area on xc7 of 2 designs; area on ecp5 of 2 designs; Fmax on ecp5 of 2 designs"
        )
        for name in ("html", "md"):
            assert "5 of 12 steps" in text[name]
            assert f"Still to come: {to_come}." in text[name]
        assert "about 6m left" in text["html"]
        assert "location.reload()" in text["html"]
        assert '"complete": false' in text["json"]
        # in the table of designs, and in that of sizes for each of two designs
        assert text["html"].count('class="pending') == (9 + 14) + (8 + 10) + (9 + 11)

    def test_a_complete_one_says_so(self, tmp_path):
        text = self.text(REPORT, tmp_path)
        assert "Complete: 16 steps in 1m12s" in text["html"] and "Complete: 16 steps" in text["md"]
        assert '"complete": true' in text["json"]
        assert "location.reload()" not in text["html"] and "Still to come" not in text["html"]

    def test_one_that_was_interrupted_says_so(self, tmp_path):
        text = self.text(replace(self.PART, is_interrupted=True), tmp_path)
        assert "<strong>Interrupted</strong>" in text["html"] and "**Interrupted:**" in text["md"]
        assert "location.reload()" not in text["html"]

    def test_changed_files_of_macforge_are_told(self, tmp_path):
        told = "Files of macforge have changed while this report was made"
        assert told not in self.text(REPORT, tmp_path)["html"]
        text = self.text(replace(REPORT, sources_changed=True), tmp_path)
        assert told in text["html"] and told in text["md"]
        assert '"sources_changed": true' in text["json"]

    def test_files_are_written_when_a_row_is_complete_or_twenty_seconds_have_passed(self, tmp_path):
        now = [0.0]
        files = GrowingFiles(tmp_path, clock=lambda: now[0])
        empty = made_up_report([made_up_row("w8a8_ws", without=SLOTS), made_up_row("w4a8_ws", without=SLOTS)])
        verified = made_up_report([made_up_row("w8a8_ws", without=SLOTS[2:]), *empty.designs[1:]])
        row = made_up_report([made_up_row("w8a8_ws"), *empty.designs[1:]])
        whole = made_up_report([made_up_row("w8a8_ws"), made_up_row("w4a8_ws", without=[Slot("fmax", "ecp5")])])
        whole = replace(whole, state=State(done=8, total=8))
        moments = [(0, empty, True), (5, verified, False), (6, row, True), (7, row, False), (26, row, True)]
        for now[0], report, is_written in [*moments, (27, row, False), (28, whole, True)]:
            assert bool(files.update(report)) is is_written, now
        assert "Complete: 8 steps" in (tmp_path / "report.html").read_text()

    def test_its_tables_sort_what_there_is(self, open_page, tmp_path):
        rows = [
            made_up_row("w8a8_ws", xc7=1000.0),
            made_up_row("w4a8_ws", without=SLOTS),
            made_up_row("mxfp4", xc7=9.0),
            made_up_row("rf8", xc7=40.0),
        ]
        page = open_page(write_report(made_up_report(rows), tmp_path)[0])
        table, designs = cells(page, "designs")
        table.locator("th", has_text="LUT/MAC").first.click()
        table.locator("th[aria-sort=ascending]").wait_for()
        assert designs() == ["w4a8_ws", "mxfp4", "rf8", "w8a8_ws"]
        assert page.locator("progress").get_attribute("value") == "12"
        assert page.complaints == []

    def test_nothing_measured_yet_is_a_page_too(self, tmp_path):
        report = made_up_report([made_up_row("w8a8_ws", without=SLOTS)])
        text = self.text(replace(report, state=State(done=0, total=4)), tmp_path)
        assert "There is nothing to draw yet" in text["html"]
        assert "w8a8_ws" in text["md"]
