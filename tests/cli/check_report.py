#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""check_report.py PAGE JSON: the page that `nori bench --report` wrote says what --json of the same run says.

It is well-formed, loads nothing, has every case, and its numbers are those of the JSON lines.
"""
import html.parser
import json
import re
import sys
import xml.etree.ElementTree as ElementTree

SPACE = "{http://www.w3.org/1999/xhtml}"
UNITS = {"ns": 1, "µs": 1e3, "ms": 1e6, "s": 1e9, "k": 1e3, "M": 1e6, "G": 1e9, "%": 0.01,
         "B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
VOID = {"meta"}
COLUMNS = {"rate": "records_per_s", "a record": "ns_per_record", "MB/s": "bytes_per_s", "waited": "wait_share",
           "p50": "p50_ns", "p95": "p95_ns", "p99": "p99_ns", "p99.9": "p999_ns", "p99.99": "p9999_ns", "max": "max_ns",
           "average": "average_ns", "open": "open_ns", "peak": "peak_memory_bytes", "log": "log_bytes_per_byte",
           "written": "written_bytes_per_byte", "rotated": "segment_rolls", "log/this": "log_over_this"}


def text_of(element):
    return "".join(element.itertext()).strip()


def is_close(one, other, part):
    return abs(one - other) <= part * max(abs(one), abs(other)) + 1e-12


class Nesting(html.parser.HTMLParser):
    """Every element is closed, and in its place."""

    def __init__(self):
        super().__init__()
        self.open = []

    def handle_starttag(self, tag, attrs):
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        assert tag in VOID | {"path", "rect", "circle"}, tag

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, tag


def check_is_alone(page, root):
    for element in root.iter():
        assert element.tag not in (SPACE + "script", SPACE + "link", SPACE + "img", SPACE + "iframe"), element.tag
        for name, value in element.attrib.items():
            assert not name.startswith("on") and name not in ("src", "style", "srcset"), name
            if "href" in name:
                assert value.startswith("#"), value
    for word in ("://", "url(", "@import", "javascript:"):
        assert word not in page.replace("http://www.w3.org/1999/xhtml", ""), word
    ids = [element.get("id") for element in root.iter() if element.get("id")]
    assert len(ids) == len(set(ids))
    for element in root.iter(SPACE + "a"):
        assert element.get("href")[1:] in ids, element.get("href")


def check_drawings(root):
    for svg in root.iter(SPACE + "svg"):
        assert svg.get("role") == "img" and len(svg.get("aria-label")) > 30
        width, height = [float(number) for number in svg.get("viewBox").split()[2:]]
        for path in svg.iter(SPACE + "path"):
            assert not re.search("nan|inf", path.get("d"))
            for x, y in re.findall(r"[ML](-?[\d.]+) (-?[\d.]+)", path.get("d")):
                assert 0 <= float(x) <= width and 0 <= float(y) <= height, path.get("d")[:80]
        for text in svg.iter(SPACE + "text"):
            assert 0 <= float(text.get("x")) <= width and 0 <= float(text.get("y")) <= height, text_of(text)
            assert "nan" not in text_of(text), text_of(text)


def check_number(data, value):
    """What the element says, and what it shows, is the value."""
    assert data is not None and is_close(float(data.get("value")), value, 1e-9), (text_of(data), value)
    number, _, unit = text_of(data).partition(" ")
    shown = float(number) * UNITS[unit] if unit else float(number)
    rounding = 0.006 if unit != "%" else 0.5
    assert is_close(shown, value, rounding) or is_close(shown * 1e6, value, 0.06) or abs(shown - value) <= 0.005, \
        (text_of(data), value)


def check_table(section, case, lines):
    table = section.findall(".//" + SPACE + "table")[0]
    heads = [text_of(cell) for cell in table.find(SPACE + "thead").iter(SPACE + "th")]
    rows = table.find(SPACE + "tbody").findall(SPACE + "tr")
    results = [line for line in lines if line["kind"] == "result" and line["case"] == case]
    assert len(rows) == len(results) > 0, case
    checked = 0
    for row, result in zip(rows, results):
        assert text_of(row[0]) == result["subject"] + result["duty"], text_of(row[0])
        for head, cell in list(zip(heads, row))[1:]:
            name = COLUMNS.get(head)
            if head == "CPU":
                name = "cpu_share" if case == "idle" else "cpu_ns_per_record"
            if name in result:
                check_number(cell.find(SPACE + "data"), result[name]["median"])
                checked += 1
            else:
                assert head in ("noise", "× floor") or text_of(cell) == "", (head, text_of(cell))
        if "× floor" in heads:
            assert float(row[heads.index("× floor")].find(SPACE + "data").get("value")) > 0
    assert checked >= len(rows), case
    return heads


def check_requirements(section, case, lines):
    wanted = [line for line in lines if line["kind"] == "requirement" and line["case"] == case]
    tables = section.findall(".//" + SPACE + "table")
    assert len(tables) == (2 if wanted else 1), case
    rows = tables[1].find(SPACE + "tbody").findall(SPACE + "tr") if wanted else []
    assert len(rows) == len(wanted)
    for row, line in zip(rows, wanted):
        assert text_of(row[0]) == ("met" if line["is_met"] else "NOT met")
        check_number(row[1].find(SPACE + "data"), line["value"])
        check_number(row[3].find(SPACE + "data"), line["limit"])
        assert text_of(row[4]) == line["what"]


def check_latencies(section, case, lines):
    timed = [line for line in lines if line["kind"] == "latencies" and line["case"] == case]
    said = [text_of(text) for text in section.iter(SPACE + "text") if text_of(text).endswith(" timed")]
    assert said == ["{:,} timed".format(line["count"]) for line in timed], (case, said)
    curves = [path for path in section.iter(SPACE + "path") if (path.get("class") or "").startswith("curve")]
    assert len(curves) == 2 * len(timed), case  # and the legend


def main():
    page = open(sys.argv[1], encoding="utf-8").read()
    lines = [json.loads(line) for line in open(sys.argv[2], encoding="utf-8")]
    root = ElementTree.fromstring(page)
    nesting = Nesting()
    nesting.feed(page)
    nesting.close()
    assert nesting.open == []
    check_is_alone(page, root)
    check_drawings(root)

    machine, summary = lines[0], lines[-1]
    assert text_of(root.find(".//" + SPACE + "dl").find(".//" + SPACE + "code")) == machine["command"]
    facts = text_of(root.find(".//" + SPACE + "dl"))
    for name in ("version", "cpu", "kernel", "file_system", "crc32c", "date"):
        assert machine[name] in facts, name
    met = summary["requirements"] - summary["missed"]
    said = "%d requirements: %d met, %d NOT met" % (summary["requirements"], met, summary["missed"])
    if summary["requirements"] == 0:
        said = "Nothing is demanded of these cases."
    assert said in "".join(root.itertext()), said
    assert all(name in "".join(root.itertext()) for name in ("p50", "floor"))

    cases = list(dict.fromkeys(line["case"] for line in lines if line["kind"] == "result"))
    sections = list(root.iter(SPACE + "section"))
    assert [section.find(SPACE + "h3").text.strip() for section in sections] == cases
    for section, case in zip(sections, cases):
        heads = check_table(section, case, lines)
        check_requirements(section, case, lines)
        if "p50" in heads:
            check_latencies(section, case, lines)


main()
