"""The page of one run, and the page that compares several."""

from collections.abc import Mapping, Sequence
from importlib.resources import files

from lib.report import quality, sections
from lib.report.event_section import event_section
from lib.report.findings import find_worries
from lib.report.markup import Content, Markup, element, joined, table
from lib.report.run_folder import RunFolder, run_labels
from lib.report.summary import bottleneck, summarize_run

# A page that fetches nothing says so to the browser.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"

Sections = dict[str, Markup]


def run_page(run: RunFolder, defaults: Mapping[str, str]) -> str:
    """Return the page of a run as HTML that needs no other file.

    Args:
        run: The run.
        defaults: Default of each setting, flat, as text.
    """
    parts: Sections = {
        "In short": _paragraphs(summarize_run(run)),
        "What to worry about": sections.findings_list(find_worries(run)),
        "Curves": sections.curves([run]),
    }
    if run.tasks:
        parts["Resolutions"] = quality.resolutions(run)
    if calibration := quality.calibration(run):
        parts["Predicted errors"] = calibration
    if faces := quality.faces(run):
        parts["Faces"] = faces
    if run.worst:
        parts["Worst events"] = event_section(run.worst)
    if run.skips or run.rollbacks:
        parts["Skips and rollbacks"] = sections.incidents(run)
    if run.ledger:
        parts["Data"] = sections.ledger_table(run)
    profile = element("pre", run.profile, tabindex=0, aria_label="Profile of a step") if run.profile else ""
    parts["Speed"] = joined(sections.speed_table(run), element("p", bottleneck(run)), profile)
    parts["Settings"] = sections.settings(run, defaults)
    parts["Environment"] = sections.tags(run)
    return _document(f"{run.name}: {run.kind} run", parts)


def comparison_page(runs: Sequence[RunFolder]) -> str:
    """Return a page with several runs side by side: numbers, what differs, curves, resolutions, worries."""
    names = run_labels(runs)
    parts: Sections = {
        "Runs": _overview(runs, names),
        "Settings that differ": _differences(runs, names),
        "Curves": sections.curves(runs),
    }
    if any(run.tasks for run in runs):
        parts["Resolutions"] = quality.resolution_table(
            {name: run.resolutions() for name, run in zip(names, runs, strict=True)}
        )
    parts["What to worry about"] = joined(
        *(
            joined(element("h3", name), sections.findings_list(find_worries(run)))
            for name, run in zip(names, runs, strict=True)
        )
    )
    return _document(f"{len(runs)} runs compared", parts)


def _overview(runs: Sequence[RunFolder], names: Sequence[str]) -> Markup:
    header = ["run", "kind", "ended", "epochs", "best epoch", "best validation loss", "events/s", "skips"]
    rows: list[list[Content]] = [
        [
            name,
            run.kind,
            run.status.lower(),
            len(run.records),
            run.best.step,
            f"{run.best.metrics.get('val/loss', float('nan')):.4g}",
            f"{run.last.get('train/events_per_second', float('nan')):,.0f}",
            len(run.skips),
        ]
        for name, run in zip(names, runs, strict=True)
    ]
    return table(header, rows, caption="The runs in the order of the command")


def _differences(runs: Sequence[RunFolder], names: Sequence[str]) -> Markup:
    keys = sorted({key for run in runs for key in run.identity.parameters})
    rows: list[list[Content]] = []
    for key in keys:
        values = [run.identity.parameters.get(key, "not set") for run in runs]
        if len(set(values)) > 1:
            rows.append([key, *values])
    if not rows:
        return element("p", "All settings are the same.")
    return table(["setting", *names], rows, caption="Settings in which the runs differ")


def _paragraphs(sentences: Sequence[str]) -> Markup:
    return joined(*(element("p", sentence) for sentence in sentences))


def _document(title: str, parts: Mapping[str, Markup]) -> str:
    """Return the whole document: title, links to the parts, parts."""
    names = {name: f"part-{number}" for number, name in enumerate(parts)}
    links = [element("li", element("a", name, href=f"#{anchor}")) for name, anchor in names.items()]
    bodies = [
        element("section", element("h2", name, id=names[name]), content, aria_labelledby=names[name])
        for name, content in parts.items()
    ]
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name_="viewport", content_="width=device-width, initial-scale=1"),
        element("meta", http_equiv="Content-Security-Policy", content_=_POLICY),
        element("title", title),
        element("style", _own_file("page.css")),
    )
    main = element(
        "main", element("h1", title), element("nav", element("ul", *links), aria_label="Parts of the page"), *bodies
    )
    body = element("body", main, element("script", _own_file("page.js")))
    return f"<!doctype html>\n{element('html', head, body, lang='en')}\n"


def _own_file(name: str) -> Markup:
    return Markup(files(__package__).joinpath(name).read_text(encoding="utf-8"))
