"""Green, yellow, red: what is allowed at which level, and when a level begins and ends."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
import logging
from zoneinfo import ZoneInfo

from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
import pytest

from custom_components.barnabeenet.state.budget import Budget, BudgetLimits, Decision, Level, Purpose, Reason
from custom_components.barnabeenet.state.ledger import QUARTER_MS, Spent, at_ms
from custom_components.barnabeenet.state.money import Tier
from custom_components.barnabeenet.state.periods import day_of, month_of

BERLIN = ZoneInfo("Europe/Berlin")
NOON = datetime(2026, 11, 20, 11, tzinfo=UTC)
CENT = 10_000


class Home:
    """A budget whose clocks stand where the test puts them."""

    def __init__(self, limits: BudgetLimits | None = None, now: datetime = NOON, zone: tzinfo = BERLIN) -> None:
        self.now, self.zone, self.clock_s = now, zone, 0.0
        self.budget = Budget(limits, zone=lambda: self.zone, now=lambda: self.now, clock=lambda: self.clock_s)

    def spend(self, cents: float, tier: Tier = "cloud_fast", provider: str = "Vendor") -> Level:
        self.budget.spend(self.now, tier, provider, round(cents * CENT))
        return self.budget.level

    def allows(self, tier: Tier, purpose: Purpose, provider: str | None = None, turn: str = "") -> Decision:
        return self.budget.allows(tier, purpose, provider=provider, turn=turn)

    def pass_(self, **time: float) -> None:
        self.now += timedelta(**time)
        self.clock_s += timedelta(**time).total_seconds()


# Levels


def test_levels_begin_where_the_specification_says() -> None:
    home = Home()
    assert home.budget.level is Level.GREEN
    assert home.spend(49.9999) is Level.GREEN
    assert home.spend(0.0001) is Level.YELLOW
    assert home.spend(30) is Level.YELLOW
    assert home.spend(0.0001) is Level.RED
    assert home.spend(500) is Level.RED


def test_a_correction_within_the_band_changes_nothing() -> None:
    home = Home()
    home.spend(81)
    assert [home.spend(cents) for cents in (-5, +5, -5.9, +2)] == [Level.RED] * 4
    assert home.spend(-2.2) is Level.YELLOW
    assert [home.spend(cents) for cents in (+5, -5, -29.9, +1)] == [Level.YELLOW] * 4
    assert home.spend(-1.2) is Level.GREEN
    assert home.spend(5) is Level.GREEN


def test_a_month_that_is_used_up_is_red_too() -> None:
    home = Home(BudgetLimits(month=100 * CENT, day=100 * CENT))
    home.spend(99)
    home.pass_(days=1)
    assert home.budget.level is Level.GREEN
    assert home.spend(1) is Level.RED
    decision = home.allows("cloud_fast", "command")
    assert (decision.reason, decision.until) == (Reason.MONTH_USED_UP, datetime(2026, 11, 30, 23, tzinfo=UTC))
    assert home.spend(-0.5) is Level.RED
    home.pass_(days=1)
    assert home.budget.level is Level.RED


def test_the_day_ends_at_local_midnight() -> None:
    home = Home()
    home.spend(81)
    home.now = datetime(2026, 11, 20, 22, 59, 59, 999_999, tzinfo=UTC)
    assert home.budget.level is Level.RED
    home.now = datetime(2026, 11, 20, 23, tzinfo=UTC)
    assert home.budget.level is Level.GREEN
    assert home.budget.status().day == 0
    assert home.budget.status().month == 81 * CENT


@pytest.mark.parametrize(("month", "day", "hours"), [(3, 29, 23), (10, 25, 25)])
def test_days_on_which_clocks_change_are_as_long_as_they_are(month: int, day: int, hours: int) -> None:
    midnight = datetime(2026, month, day, tzinfo=BERLIN).astimezone(UTC)
    home = Home(now=midnight)
    home.spend(81)
    home.now = midnight + timedelta(hours=hours, seconds=-1)
    assert home.budget.level is Level.RED
    home.pass_(seconds=1)
    assert home.budget.level is Level.GREEN


def test_in_the_months_last_minute_the_month_still_counts() -> None:
    home = Home(BudgetLimits(month=50 * CENT), now=datetime(2026, 11, 30, 22, 59, tzinfo=UTC))
    assert home.spend(50) is Level.RED
    home.pass_(seconds=59)
    assert home.allows("cloud_fast", "command").reason is Reason.MONTH_USED_UP
    home.pass_(seconds=1)
    assert home.allows("cloud_fast", "interaction").allowed
    assert home.budget.status().month == 0


def test_another_time_zone_counts_what_was_spent_in_its_day() -> None:
    # Half past midnight in Berlin is still yesterday in New York.
    home = Home(now=datetime(2026, 11, 20, 20, tzinfo=UTC))
    home.spend(60)
    home.now = datetime(2026, 11, 20, 23, 30, tzinfo=UTC)
    assert home.spend(25) is Level.GREEN
    home.zone = ZoneInfo("America/New_York")
    assert home.budget.level is Level.RED
    assert home.budget.status().day == 85 * CENT
    home.zone = ZoneInfo("Asia/Kolkata")  # midnight was at 18:30 UTC
    assert home.budget.status().day == 85 * CENT
    home.zone = BERLIN
    assert home.budget.level is Level.GREEN
    assert home.budget.status().day == 25 * CENT


def test_a_wall_clock_that_jumps_over_midnight_and_back_loses_nothing() -> None:
    home = Home()
    home.spend(81)
    home.now += timedelta(hours=13)
    assert home.budget.level is Level.GREEN
    home.now -= timedelta(hours=13)
    assert home.budget.level is Level.RED


def test_a_changed_limit_counts_at_once_without_the_band() -> None:
    home = Home()
    home.spend(81)
    home.spend(-4)
    home.budget.limits = BudgetLimits(providers={"Vendor": 10 * CENT})  # neither the day's nor the month's
    assert home.budget.level is Level.RED
    home.spend(4)
    home.budget.limits = BudgetLimits(day=104 * CENT)
    assert home.budget.level is Level.YELLOW
    home.budget.limits = BudgetLimits(day=90 * CENT)
    assert home.budget.level is Level.RED


def test_nothing_to_spend_is_red() -> None:
    assert Home(BudgetLimits(day=0)).budget.level is Level.RED
    assert Home(BudgetLimits(month=0)).budget.level is Level.RED


def test_what_is_too_old_is_forgotten() -> None:
    home = Home()
    for _ in range(100):
        home.spend(1)
        home.pass_(days=1)
    assert len(home.budget._spent) < 36


@pytest.mark.parametrize(
    "wrong", [{"day": -1}, {"month": 10**15}, {"tiers": {"cloud_fast": -1}}, {"complex_per_hour": -1}]
)
def test_limits_that_cannot_be_meant_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="out of range: give 0 to"):
        BudgetLimits(**wrong)  # type: ignore[arg-type]


# What is allowed


def table(home: Home) -> dict[tuple[Tier, Purpose], Reason | None]:
    tiers: list[Tier] = ["instant", "local", "cloud_fast", "cloud_powerful"]
    purposes: list[Purpose] = ["command", "interaction", "complex"]
    return {(tier, purpose): home.allows(tier, purpose).reason for tier in tiers for purpose in purposes}


def test_green_allows_everything() -> None:
    assert not any(table(Home()).values())


def test_yellow_keeps_talk_in_the_house() -> None:
    home = Home()
    home.spend(60, "local")
    assert {key: reason for key, reason in table(home).items() if reason} == {
        ("cloud_fast", "interaction"): Reason.SAVING,
        ("cloud_powerful", "interaction"): Reason.SAVING,
    }


def test_red_leaves_basic_commands_in_the_house() -> None:
    home = Home()
    home.spend(81)
    decisions = table(home)
    assert [key for key, reason in decisions.items() if reason is None] == [
        *(("instant", "command"), ("instant", "interaction"), ("instant", "complex"), ("local", "command"))
    ]
    assert {reason for reason in decisions.values() if reason} == {Reason.DAY_USED_UP}
    decision = home.allows("local", "interaction")
    assert (decision.level, decision.until) == (Level.RED, datetime(2026, 11, 20, 23, tzinfo=UTC))


def test_complex_questions_are_few_in_yellow() -> None:
    home = Home(BudgetLimits(complex_per_hour=2))
    home.spend(60, "local")
    assert home.allows("cloud_powerful", "complex", turn="a").allowed
    home.pass_(minutes=10)
    # Another provider is tried for the same turn.
    assert home.allows("cloud_fast", "complex", turn="a").allowed
    assert home.allows("cloud_powerful", "complex", turn="b").allowed
    refused = home.allows("cloud_powerful", "complex", turn="c")
    assert (refused.reason, refused.until) == (Reason.SAVING_COMPLEX, home.now + timedelta(minutes=50))
    home.pass_(minutes=50)
    assert home.allows("cloud_powerful", "complex", turn="c").allowed
    home.budget.limits = BudgetLimits(complex_per_hour=0)
    assert home.allows("cloud_powerful", "complex", turn="d").reason is Reason.SAVING_COMPLEX


def test_each_tier_has_its_daily_budget() -> None:
    home = Home()
    home.spend(29.9)
    assert home.allows("cloud_fast", "interaction").allowed
    home.spend(0.1)
    assert home.allows("cloud_fast", "interaction").reason is Reason.TIER_USED_UP
    assert home.allows("cloud_powerful", "complex").allowed
    assert home.allows("local", "interaction").allowed
    home.pass_(days=1)
    assert home.allows("cloud_fast", "interaction").allowed


def test_each_provider_may_have_a_daily_budget() -> None:
    home = Home(BudgetLimits(providers={"Dear": 10 * CENT}))
    home.spend(10, provider="Dear")
    assert home.allows("cloud_fast", "interaction", "Dear").reason is Reason.PROVIDER_USED_UP
    assert home.allows("cloud_fast", "interaction", "Vendor").allowed


def test_the_switch_keeps_everything_in_the_house() -> None:
    home = Home()
    home.budget.local_only = True
    refused = home.allows("cloud_fast", "command")
    assert (refused.reason, refused.until) == (Reason.LOCAL_ONLY, None)
    assert home.allows("local", "interaction").allowed


# Telling and keeping


def test_listeners_hear_of_changes_alone(caplog: pytest.LogCaptureFixture) -> None:
    home, heard = Home(), []

    def broken() -> None:
        raise RuntimeError("a sensor that is gone")

    home.budget.subscribe(broken)
    unsubscribe = home.budget.subscribe(lambda: heard.append(home.budget.level))
    for cents in (10, 40, 10, 25, 1):
        home.spend(cents)
    home.pass_(days=1)
    assert home.budget.level is Level.GREEN
    assert heard == [Level.YELLOW, Level.RED, Level.GREEN]
    home.budget.local_only = True
    home.budget.local_only = True
    assert len(heard) == 4
    unsubscribe()
    home.spend(90)
    assert len(heard) == 4
    assert caplog.records[0].levelno == logging.ERROR


@pytest.mark.parametrize(
    ("cents", "level"), [(79, Level.RED), (74, Level.YELLOW), (46, Level.YELLOW), (44, Level.GREEN)]
)
def test_a_restart_goes_on_within_the_band(cents: int, level: Level) -> None:
    home = Home()
    home.spend(90 if cents > 50 else 60)
    home.budget.local_only = True
    saved = home.budget.saved()
    again = Home()
    spent = [Spent(at_ms(NOON) // QUARTER_MS, "cloud_fast", "Vendor", cents * CENT)]
    again.budget.load(spent, saved)
    assert (again.budget.level, again.budget.local_only) == (level, True)
    # The level of another day is of no consequence.
    later = Home(now=NOON + timedelta(days=1))
    later.budget.load([spent[0]._replace(quarter=at_ms(later.now) // QUARTER_MS)], saved)
    assert later.budget.level is (Level.YELLOW if cents >= 50 else Level.GREEN)


class Days(RuleBasedStateMachine):
    """Money is spent and corrected, time passes, zones and limits change, and Home Assistant is started again."""

    def __init__(self) -> None:
        super().__init__()
        self.home = Home()
        self.entries: list[list[float]] = []
        self.level = Level.GREEN

    @rule(cents=st.integers(0, 60))
    def spend(self, cents: int) -> None:
        self.home.spend(cents)
        self.entries.append([self.home.now.timestamp(), cents])

    @rule(data=st.data())
    def correct(self, data: st.DataObject) -> None:
        if self.entries:
            entry = data.draw(st.sampled_from(self.entries))
            less = data.draw(st.integers(0, int(entry[1])))
            self.home.budget.spend(datetime.fromtimestamp(entry[0], UTC), "cloud_fast", "Vendor", -less * CENT)
            entry[1] -= less

    @rule(minutes=st.sampled_from([1, 14, 60, 600, 1440, 20_000]))
    def pass_(self, minutes: int) -> None:
        self.home.pass_(minutes=minutes)

    @rule(zone=st.sampled_from(["Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Pacific/Kiritimati"]))
    def move(self, zone: str) -> None:
        self.home.zone = ZoneInfo(zone)

    @rule()
    def restart(self) -> None:
        level, saved, spent = self.home.budget.level, self.home.budget.saved(), dict(self.home.budget._spent)
        home = Home(self.home.budget.limits, self.home.now, self.home.zone)
        home.clock_s = self.home.clock_s
        home.budget.load([Spent(*key, micro) for key, micro in spent.items()], saved)
        assert home.budget.level is level
        self.home = home

    def spent_in(self, period: Callable[[datetime, tzinfo], object]) -> int:
        within = period(self.home.now, self.home.zone)
        return sum(int(cents) * CENT for at, cents in self.entries if datetime.fromtimestamp(at, UTC) in within)  # type: ignore[operator]

    @invariant()
    def sums_are_those_of_the_entries(self) -> None:
        status = self.home.budget.status()
        assert (status.day, status.month) == (self.spent_in(day_of), self.spent_in(month_of))

    @invariant()
    def the_level_is_within_the_band_of_the_sum(self) -> None:
        status = self.home.budget.status()
        percent = status.day * 100 / status.limits.day
        least = Level.RED if percent > 80 else Level.YELLOW if percent >= 50 else Level.GREEN
        most = Level.RED if percent > 75 else Level.YELLOW if percent >= 45 else Level.GREEN
        assert status.day_level in (least, most)
        if status.level is Level.RED and not status.month_over:
            assert not self.home.allows("cloud_fast", "command").allowed


Days.TestCase.settings = settings(max_examples=60, stateful_step_count=30)
TestDays = Days.TestCase
