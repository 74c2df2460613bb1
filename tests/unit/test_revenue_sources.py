"""What sources of revenue say, read without a database: CSV rows, reports, orders, links."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.runtime.links import DISCLOSURE, AffiliateLink, disclosed, links_for, marker_of, tagged
from actors.tracker.revenue.attribution import MARKER, traces_of
from actors.tracker.revenue.csv_import import Imported, Map, Row, check_map, read_rows
from actors.tracker.revenue.entries import Recorded, entry_id
from actors.tracker.revenue.money import Money
from actors.tracker.revenue.shopify import Order, earned_by, parse_page
from actors.tracker.revenue.youtube_revenue import Video, entries_of, read_days, reads_from
from contracts.errors import Reject, Retry
from contracts.ids import AccountId, ItemId, PostId

POST = PostId("0f8fad5b-d9cb-469f-a165-70867728950e")
MARK = marker_of(POST)
LINK = AffiliateLink(
    code="lamp", url="https://shop.example/lamp?colour=red", title="The lamp", disclosure=DISCLOSURE, niche="deep sea"
)

# CSV ----------------------------------------------------------------------------------------------

PLAIN = Map(date="Date", amount="Earnings", currency="EUR", id=("Order",))


def read(text: str, given: Map = PLAIN) -> tuple[list[Row], Imported]:
    told = Imported(recorded=Recorded(), rejected=[])
    return list(read_rows(text.splitlines(keepends=True), given, told)), told


def test_rows_are_read_below_titles_with_any_delimiter() -> None:
    """A report with a line above its header, or of a country that writes semicolons, could not be imported."""
    for mark in (",", ";", "\t", "|"):
        text = f"Earnings report, 2026\n\nDate{mark}Order{mark}Earnings\n2026-11-01{mark}A1{mark}12.30\n"
        rows, told = read(text)
        assert rows == [Row(line=4, key="A1", amount=Money(1230, "EUR"), earned_on=date(2026, 11, 1))]
        assert told.rejected == []


def test_decimal_comma_and_local_dates_follow_the_map() -> None:
    """1.234,56 would be 1.23, and the third of April the fourth of March."""
    form = Map(date="Datum", amount="Betrag", currency="EUR", id=("Nr",), decimal=",", date_format="%d.%m.%Y")
    rows, _ = read('Datum;Nr;Betrag\n03.04.2026;1;"1.234,56"\n', form)
    assert (rows[0].amount, rows[0].earned_on) == (Money(123_456, "EUR"), date(2026, 4, 3))


def test_rows_that_cannot_be_taken_are_named_and_the_others_are_taken() -> None:
    """One bad row would cost the file, or vanish without a word."""
    text = (
        "Date,Order,Earnings\n2026-11-01,A1,12.30\n01.11.2026,A2,1\n2026-11-01,A3,\n2026-11-01,A4,1.234\n\n"
        "2026-11-01,,5\n2026-11-01,A1,9\n2026-11-01\n2026-11-02,A9,3\n"
        "0001-01-01,B1,1\n9999-12-31,B2,1\n"
    )
    rows, told = read(text)
    assert [row.key for row in rows] == ["A1", "A9"]
    assert [(bad.line, bad.because.split(" ")[0]) for bad in told.rejected] == [
        (3, "'01.11.2026'"),
        (4, "column"),
        (5, "1.234"),
        (7, "nothing"),
        (8, "it"),
        (9, "the"),
        (11, "'0001-01-01'"),
        (12, "'9999-12-31'"),
    ]
    assert "line 2" in told.rejected[4].because
    assert (told.rows, told.rejected_rows) == (10, 8)


def test_rows_without_an_id_are_told_apart_by_their_number() -> None:
    """Two sales of one product on one day would be one, or the same file twice would be two."""
    form = msgspec.structs.replace(PLAIN, id=())
    text = "Date,Order,Earnings\n2026-11-01,x,1\n2026-11-01,x,1\n2026-11-01,y,1\n"
    keys = [row.key for row in read(text, form)[0]]
    assert len(set(keys)) == 3
    assert keys == [row.key for row in read(text, form)[0]]


def test_rows_are_left_out_as_the_map_says() -> None:
    """Declined commissions would be counted as earned."""
    form = msgspec.structs.replace(PLAIN, skip={"Status": ("declined", "open")})
    rows, told = read("Date,Order,Earnings,Status\n2026-11-01,1,1,Declined\n2026-11-01,2,2,paid\n", form)
    assert [row.key for row in rows] == ["2"]
    assert told.left_out == 1


def test_a_file_without_the_columns_says_which_are_missing() -> None:
    """A person would have to guess why nothing was imported."""
    with pytest.raises(Reject, match="missing: 'Earnings'"):
        read("Date,Order,Fees\n2026-11-01,1,1\n")


@pytest.mark.parametrize(
    "given",
    [
        Map(date="d", amount="a"),
        Map(date="d", amount="a", currency="EUR", currency_column="c"),
        Map(date="d", amount="a", currency="ZZZ"),
        Map(date="d", amount="a", currency="EUR", date_format="%d %B"),
        Map(date="d", amount="a", currency="EUR", date_format="%Q"),
        Map(date="d", amount="a", currency="EUR", encoding="martian"),
    ],
)
def test_a_map_that_cannot_work_is_refused_when_it_is_saved(given: Map) -> None:
    """The mistake would show only on the first file, as a hundred rejected rows."""
    with pytest.raises(Reject):
        check_map(given)


@given(st.text(max_size=300))
def test_no_text_breaks_the_reader(text: str) -> None:
    """A damaged download would end the command with a trace."""
    try:
        rows, told = read("Date,Order,Earnings\n" + text)
    except Reject:
        return
    assert told.rows == len(rows) + told.left_out + told.rejected_rows or told.rejected


# Links --------------------------------------------------------------------------------------------


def test_markers_are_recognised_in_what_a_shop_tells() -> None:
    """What a link earned could not be traced to its post."""
    assert MARKER.fullmatch(MARK)


def test_links_carry_the_marker_and_keep_what_they_had() -> None:
    """A click would not tell its post, or lose the network's own parameters."""
    assert tagged(LINK, platform="youtube", marker=MARK) == (
        f"https://shop.example/lamp?colour=red&utm_source=youtube&utm_medium=social&utm_campaign=lamp&utm_content={MARK}"
    )
    amazon = msgspec.structs.replace(
        LINK, url="https://a.example/dp/1?tag=me-20&ascsubtag=old", marker_param="ascsubtag"
    )
    assert tagged(amazon, platform="x", marker=MARK) == f"https://a.example/dp/1?tag=me-20&ascsubtag={MARK}"
    assert tagged(
        msgspec.structs.replace(amazon, url=tagged(amazon, platform="x", marker=MARK)), platform="x", marker=MARK
    ) == (f"https://a.example/dp/1?tag=me-20&ascsubtag={MARK}")


def test_links_go_where_their_rule_says() -> None:
    """A lamp would be sold under a chess video, or a paused link go on."""
    everywhere = msgspec.structs.replace(LINK, code="book", niche=None, platforms=("youtube",))
    paused = msgspec.structs.replace(LINK, code="old", paused=True)
    links = (LINK, everywhere, paused)
    assert [one.code for one in links_for(links, niche="Deep Sea", platform="youtube")] == ["book", "lamp"]
    assert [one.code for one in links_for(links, niche="deep sea", platform="x")] == ["lamp"]
    assert [one.code for one in links_for(links, niche=None, platform="youtube")] == ["book"]


def test_the_disclosure_comes_first_and_links_last() -> None:
    """A link that earns would stand without a word that says so, or with it behind 'more'."""
    found = disclosed("A dive.", [LINK], platform="youtube", marker=MARK)
    lines = found.text.split("\n\n")
    assert lines[0] == DISCLOSURE
    assert lines[1] == "A dive."
    assert lines[2].startswith("The lamp: https://shop.example/lamp?")
    assert (found.codes, found.disclosed) == (("lamp",), True)
    assert disclosed("A dive.", [], platform="youtube", marker=MARK).text == "A dive."


def test_a_link_in_the_text_is_tagged_there_and_disclosed() -> None:
    """A link that a person wrote would earn without a disclosure and without its post."""
    text = "Buy it: https://shop.example/lamp?colour=red. Or https://other.example/lamp"
    found = disclosed(text, [LINK], platform="x", marker=MARK)
    assert found.text.startswith(DISCLOSURE)
    assert found.text.count("shop.example") == 1
    assert f"utm_content={MARK}. Or https://other.example/lamp" in found.text
    again = disclosed(found.text, [LINK], platform="x", marker=MARK)
    assert again.text == found.text


@given(words=st.text(max_size=80), standing=st.booleans(), room=st.integers(0, 600))
def test_no_link_ever_stands_without_its_disclosure(words: str, *, standing: bool, room: int) -> None:
    """Where the text has no room, the disclosure would be cut and the link stay."""
    other = msgspec.structs.replace(LINK, code="book", url="https://shop.example/book", title="The book")
    text = f"{words} https://shop.example/lamp?colour=red end" if standing else words
    found = disclosed(text, [LINK, other], platform="x", marker=MARK, fits=lambda whole: len(whole) <= room)
    if "shop.example" in found.text:
        assert found.text.startswith(DISCLOSURE)
        assert len(found.text) <= room
    else:
        assert found.codes == ()
        assert found.left_out


# YouTube ------------------------------------------------------------------------------------------

VIDEO = Video(
    post_id=POST,
    item_id=ItemId("item-1"),
    platform_post_id="dQw4w9WgXcQ",
    published_at=datetime(2026, 9, 10, 3, tzinfo=UTC),
)
ACCOUNT = AccountId("youtube:creator")


def entries(
    days: dict[date, Decimal], *, today: date, known: frozenset[str] = frozenset()
) -> dict[date, tuple[int, bool]]:
    made = entries_of(VIDEO, days, account=ACCOUNT, today=today, known=known)
    return {one.earned_on: (one.amount.minor, one.estimated) for one in made}


def test_small_amounts_of_days_add_up_to_their_month() -> None:
    """A video that earns a third of a cent a day would earn nothing in a year."""
    days = {date(2026, 10, day): Decimal("0.0034") for day in range(1, 31)}
    made = entries(days, today=date(2026, 11, 1))
    assert sum(minor for minor, _ in made.values()) == 10
    assert all(estimated for _, estimated in made.values())


def test_estimates_become_final_after_their_month() -> None:
    """Numbers that Google still corrects would be shown as final, or final ones as estimates for ever."""
    days = {date(2026, 10, 31): Decimal("1.00"), date(2026, 11, 1): Decimal("2.00")}
    assert entries(days, today=date(2026, 11, 15)) == {date(2026, 10, 31): (100, True), date(2026, 11, 1): (200, True)}
    assert entries(days, today=date(2026, 11, 16)) == {date(2026, 10, 31): (100, False), date(2026, 11, 1): (200, True)}


def test_days_that_brought_nothing_leave_one_zero_a_month() -> None:
    """Nothing earned would look like nothing known; or every day of every video would be a row."""
    days = {date(2026, 11, day): Decimal(0) for day in range(1, 20)}
    assert entries(days, today=date(2026, 11, 20)) == {date(2026, 11, 1): (0, True)}
    known = frozenset({entry_id("youtube", "dQw4w9WgXcQ/2026-11-07")})
    corrected = entries(days, today=date(2026, 11, 20), known=known)
    assert corrected == {date(2026, 11, 1): (0, True), date(2026, 11, 7): (0, True)}


def test_reading_begins_with_a_month_and_goes_back_far_enough() -> None:
    """Corrections of the last month would be missed, or the rounding begin anew in its middle."""
    assert reads_from(VIDEO, today=date(2026, 11, 23)) == date(2026, 9, 1)
    read_before = msgspec.structs.replace(VIDEO, is_read=True)
    assert reads_from(read_before, today=date(2027, 3, 20)) == date(2027, 1, 1)
    first_of_month = msgspec.structs.replace(VIDEO, published_at=datetime(2026, 10, 1, 5, tzinfo=UTC))
    assert reads_from(first_of_month, today=date(2026, 11, 23)) == date(2026, 9, 1), "it is still September there"


def test_a_report_is_read_exactly() -> None:
    """Money would pass through a float, or a report without rows be a fault."""
    rows = [{"day": "2026-11-01", "estimatedRevenue": Decimal("3.5127")}, {"day": "2026-11-02", "estimatedRevenue": 0}]
    assert read_days(rows) == {date(2026, 11, 1): Decimal("3.5127"), date(2026, 11, 2): Decimal(0)}
    assert read_days(()) == {}


@pytest.mark.parametrize(
    "row",
    [
        {"day": "2026-11-01"},
        {"day": "2026-11-01", "estimatedRevenue": "much"},
        {"day": "2026-11-01", "estimatedRevenue": None},
        {"day": "2026-11-01", "estimatedRevenue": True},
        {"day": "2026-11-01", "estimatedRevenue": Decimal("NaN")},
        {"day": 20261101, "estimatedRevenue": 1},
        {"day": "yesterday", "estimatedRevenue": 1},
    ],
)
def test_a_report_of_another_shape_is_no_number(row: dict[str, Any]) -> None:
    """A changed answer would end in a trace, or in an invented zero."""
    with pytest.raises(Retry):
        read_days([row])


# Shopify ------------------------------------------------------------------------------------------


def bag(amount: str, currency: str = "EUR") -> dict[str, Any]:
    return {"shopMoney": {"amount": amount, "currencyCode": currency}}


def order(**more: Any) -> Order:
    told = {
        "id": "gid://shopify/Order/1",
        "updatedAt": "2026-11-20T10:00:00Z",
        "createdAt": "2026-11-20T10:00:00Z",
        "displayFinancialStatus": "PAID",
        "totalPriceSet": bag("119.00"),
        "currentTotalPriceSet": bag("119.00"),
        "totalRefundedSet": bag("0.0"),
        "currentTotalTaxSet": bag("19.00"),
    }
    return msgspec.convert(told | more, Order)


@pytest.mark.parametrize(
    ("more", "minor"),
    [
        ({}, 10_000),
        ({"currentTotalTaxSet": None}, 11_900),
        ({"displayFinancialStatus": "PARTIALLY_REFUNDED", "totalRefundedSet": bag("50.00")}, 5_000),
        ({"currentTotalPriceSet": bag("59.50"), "currentTotalTaxSet": bag("9.50")}, 5_000),
        ({"displayFinancialStatus": "REFUNDED", "totalRefundedSet": bag("119.00")}, 0),
        ({"displayFinancialStatus": "VOIDED"}, 0),
        ({"displayFinancialStatus": "PENDING"}, None),
        ({"displayFinancialStatus": "AUTHORIZED"}, None),
        ({"test": True}, None),
    ],
)
def test_an_order_earned_what_was_paid_and_kept(more: dict[str, Any], minor: int | None) -> None:
    """Tax, refunds, unpaid orders and tests would be shown as earned."""
    found = earned_by(order(**more))
    assert found == (None if minor is None else Money(minor, "EUR"))


@pytest.mark.parametrize(
    "more",
    [
        {"totalPriceSet": {}},
        {"totalPriceSet": {"shopMoney": {"amount": 119.0, "currencyCode": "EUR"}}},
        {"currentTotalPriceSet": bag("much")},
        {"currentTotalTaxSet": bag("1", "USD")},
        {"totalPriceSet": bag("NaN"), "currentTotalPriceSet": bag("NaN")},
        {"totalPriceSet": bag("1", "ZZZ"), "totalRefundedSet": None, "currentTotalTaxSet": None},
    ],
)
def test_an_order_of_another_shape_is_no_number(more: dict[str, Any]) -> None:
    """A changed answer would end the reading with a trace, or be counted as something."""
    with pytest.raises((Retry, Reject)):
        earned_by(order(**more))


def visits(**more: Any) -> dict[str, Any]:
    blank = {"landingPage": None, "referralCode": None, "utmParameters": None}
    return {"customerJourneySummary": {"ready": True, "firstVisit": None, "lastVisit": {**blank, **more}}}


@pytest.mark.parametrize(
    ("told", "marker", "code"),
    [
        (visits(utmParameters={"content": MARK, "campaign": "lamp"}), MARK, "lamp"),
        (visits(utmParameters={"content": None, "campaign": "lamp"}), None, "lamp"),
        (visits(landingPage=f"https://shop.example/lamp?utm_campaign=lamp&utm_content={MARK}"), MARK, "lamp"),
        (visits(referralCode=MARK), MARK, None),
        ({"discountCodes": ["SEA10"]}, None, "lamp"),
    ],
)
def test_orders_lead_back_to_posts_and_links(told: dict[str, Any], marker: str | None, code: str | None) -> None:
    """Sales that a video made would be nobody's."""
    link = msgspec.structs.replace(LINK, discount_code="sea10")
    found = traces_of(told, [link])
    assert [(one.marker, one.code) for one in found] == [(marker, code)]


@pytest.mark.parametrize(
    "told",
    [
        {},
        {"customerJourneySummary": None, "discountCodes": None},
        {"customerJourneySummary": {"lastVisit": {"utmParameters": {"content": "spring-sale", "campaign": "mail"}}}},
        {"customerJourneySummary": {"lastVisit": {"landingPage": "http://[broken", "utmParameters": 7}}},
        {"customerJourneySummary": "none", "discountCodes": [7, "OTHER"]},
    ],
)
def test_other_business_of_the_shop_leads_nowhere(told: dict[str, Any]) -> None:
    """The shop's other sales would be counted as the channel's."""
    assert traces_of(told, [msgspec.structs.replace(LINK, discount_code="sea10")]) == ()


def test_a_page_tells_when_there_are_points_for_the_next() -> None:
    """The shop's limit would be hit, and the next page refused."""
    cost = {"requestedQueryCost": 702, "throttleStatus": {"currentlyAvailable": 202, "restoreRate": 100.0}}
    answer = {
        "data": {"orders": {"nodes": [], "pageInfo": {"hasNextPage": True, "endCursor": "c"}}},
        "extensions": {"cost": cost},
    }
    page = parse_page(answer)
    assert (page.after, page.wait_s) == ("c", 5.0)
    assert parse_page({"data": answer["data"]}).wait_s == 0.0


@pytest.mark.parametrize("answer", [{}, {"data": None}, {"data": {"orders": {"nodes": 3, "pageInfo": {}}}}, [], 7])
def test_a_page_of_another_shape_is_asked_for_again(answer: Any) -> None:
    """A changed answer would end the ticker with a trace."""
    with pytest.raises(Retry):
        parse_page(answer)
