"""A real browser must run the page's script and find room for everything."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from lib.report.page import run_page
from lib.report.run_folder import read_run
from tests.report.made_run import add_ledger, add_predictions, add_skip, add_worst, make_run

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium here; make test-all installs it where apt-get exists"),
]

# Steps over sensors, changes event and quantity, and writes down what the page then says.
PROBE = """<script>
const drawing = document.getElementById("event-drawing");
drawing.focus();
for (const key of ["ArrowRight", "ArrowRight", "ArrowDown"]) drawing.dispatchEvent(new KeyboardEvent("keydown", {key}));
const stepped = document.getElementById("sensor-text").textContent;
const choice = document.getElementById("event-choice");
choice.value = "1";
choice.dispatchEvent(new Event("change"));
const quantity = document.getElementById("quantity-choice");
quantity.value = "1";
quantity.dispatchEvent(new Event("change"));
document.getElementById("sensors").children[3].dispatchEvent(new PointerEvent("pointermove", {bubbles: true}));
document.title = JSON.stringify({stepped, hovered: document.getElementById("sensor-text").textContent,
  dead: document.querySelectorAll("#sensors .dead").length, empty: document.querySelectorAll("#sensors .empty").length,
  wide: document.documentElement.scrollWidth - document.documentElement.clientWidth}).replaceAll('"', "'");
</script></body>"""


def browse(page: Path, *arguments: str) -> str:
    """Return the document after its scripts ran."""
    command = [str(CHROMIUM), "--headless=new", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=5000"]
    profile = f"--user-data-dir={page.parent / 'profile'}"
    answer = subprocess.run(
        [*command, profile, *arguments, page.as_uri()], capture_output=True, text=True, timeout=120, check=True
    )
    return answer.stdout


@pytest.mark.parametrize("width", [500, 1200])
def test_sensors_can_be_stepped_over_and_hovered_and_nothing_is_cut(tmp_path: Path, width: int) -> None:
    folder = make_run(tmp_path / "run", metrics={"a_metric": 1.0})
    add_predictions(folder, "run")
    add_worst(folder, "run")
    add_skip(folder)
    add_ledger(folder, "a/very/long/path/without/any/blank" * 6)
    page = tmp_path / "page.html"
    page.write_text(run_page(read_run(folder), {}).replace("</body>", PROBE))
    title = re.search("<title>(.*?)</title>", browse(page, "--dump-dom", f"--window-size={width},900"))
    assert title
    assert re.search(r"'stepped':'Sensor \d+, face inner: [\d.,]+ photons, ", title[1])
    assert "'stepped':'Sensor 0," not in title[1]
    assert "'hovered':'Sensor 3, face inner: dead'" in title[1]
    assert "'dead':2,'empty':99,'wide':0" in title[1]
