"""The chart of designs, as text and as a page."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from archlab.experiments.chart import HEIGHT, Mark, page, scatter, svg

MARKS = [Mark("yours", 12, 40, "Y"), Mark("reference", 8, 44, "R"), Mark("all <online>", 20, 45, "n")]


def test_dearer_designs_stand_further_right_and_worthier_ones_higher() -> None:
    lines = scatter(MARKS).splitlines()[1 : HEIGHT + 1]
    places = {
        sign: (number, line.split("┤")[1].index(sign))
        for number, line in enumerate(lines)
        for sign in "YRn"
        if sign in line.split("┤")[1]
    }
    assert places["R"][1] < places["Y"][1] < places["n"][1]
    assert places["n"][0] < places["R"][0] < places["Y"][0]


def test_designs_that_meet_are_drawn_with_the_learners_on_top() -> None:
    chart = scatter([Mark("yours", 1, 1, "Y"), Mark("reference", 1, 1, "R")])
    assert sum("Y" in line for line in chart.splitlines()[1 : HEIGHT + 1]) == 1


def test_the_drawing_is_well_formed_and_the_page_loads_nothing() -> None:
    drawn = ElementTree.fromstring(svg(MARKS))
    circles = drawn.findall("{http://www.w3.org/2000/svg}circle")
    assert len(circles) == 3
    assert [float(c.attrib["cx"]) for c in circles] == pytest.approx([610, 110, 276.67], abs=0.1)
    html = page("Designs", MARKS, ["A note & more"])
    assert "all &lt;online&gt;" in html
    assert "src=" not in html
    assert "href=" not in html
