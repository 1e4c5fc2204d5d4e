"""What the quota machine can do. Each act is done to the engine and to the oracle, which must answer the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from django.db import connection, transaction

from django_tenant_billing import clock, quotas
from django_tenant_billing.exceptions import QuotaExceeded
from django_tenant_billing.models import Hold
from django_tenant_billing.quotas import engine
from tests.races.model import SEATS, Account, Took
from tests.races.world import GrantHandle, ReservationHandle, World, answer_of, both, chosen, shown
from tests.testapp.models import Organization

LONG_AGO = datetime(2001, 1, 1, tzinfo=UTC)


class Crash(Exception):
    """The site's own error."""


@dataclass(frozen=True)
class Check:
    who: int
    feature: str
    amount: int

    def __call__(self, world: World) -> None:
        (organization, account), now = world.of(self.who), clock.now()
        decision = quotas.check(organization, self.feature, self.amount)
        verdict = account.decide(self.feature, self.amount, now)
        assert (decision.allowed, decision.fits) == (verdict.allowed, verdict.fits)


@dataclass(frozen=True)
class Consume:
    who: int
    asked: Mapping[str, int]
    when_short: str = "reject"
    key: str | None = None

    def __call__(self, world: World) -> None:
        (organization, account), now = world.of(self.who), clock.now()

        def expected() -> Took:
            took, replayed = account.once(
                self.key,
                (type(self), self.asked, self.when_short),
                lambda: account.take(self.asked, self.when_short, now),
            )
            return Took(took.amounts, took.at, took.uncounted, replayed)

        world.requests += [self] if self.key else []
        got = both(lambda: self.real(organization), expected, shown)
        if got is not None:
            real, took = got
            spent = self.key is not None and account.keys[self.key].released
            world.grants.append(GrantHandle(real, self.who, took, self.key, spent))
            if not took.replayed:
                world.bound(took, self.when_short)

    def real(self, organization: Organization) -> quotas.Grant:
        return quotas.consume(organization, self.asked, when_short=self.when_short, key=self.key)


@dataclass(frozen=True)
class Track(Consume):
    when_short: str = "allow"

    def real(self, organization: Organization) -> quotas.Grant:
        return quotas.track(organization, self.asked, key=self.key)


@dataclass(frozen=True)
class Consuming:
    """A guarded block, whose work counts too and may fail."""

    who: int
    asked: Mapping[str, int]
    inside: Consume
    fails: bool

    def __call__(self, world: World) -> None:
        (organization, account), now, undo = world.of(self.who), clock.now(), world.savepoint()
        _none, kept_out = answer_of(lambda: account.enter(self.asked, now))
        expected = kept_out
        try:
            with quotas.consuming(organization, self.asked):
                assert not kept_out
                self.inside(world)
                if self.fails:
                    expected = "crash"
                    raise Crash
                took, expected = answer_of(lambda: account.take(self.asked, "reject", now))
            told = ""
        except Crash:
            told = "crash"
        except QuotaExceeded as error:
            told = f"refused {error.decision.feature}"
        assert told == expected
        if told:
            undo()
        else:
            world.of(self.who)
            world.bound(took, "reject")


@dataclass(frozen=True)
class Block:
    """A transaction of the site's around several acts: it is kept, fails, or loses its connection."""

    acts: tuple[Act, ...]
    ending: str

    def __call__(self, world: World) -> None:
        undo = world.savepoint()
        try:
            with transaction.atomic():
                for act in self.acts:
                    act(world)
                if self.ending == "broken":
                    connection.close()
                if self.ending != "kept":
                    raise Crash
        except Crash:
            undo()


@dataclass(frozen=True)
class GiveBack:
    """Grant.release, once or twice, of a grant that may have been given back before."""

    which: int
    times: int

    def __call__(self, world: World) -> None:
        for handle in chosen(world.grants, self.which) * self.times:
            _organization, account = world.of(handle.who)
            counted = {f: n for f, n in handle.took.amounts.items() if n and f not in handle.took.uncounted}

            def expected(handle: GrantHandle = handle, account: Account = account, back: Any = counted) -> bool:
                claimed = not handle.spent and bool(back)
                handle.spent = handle.spent or claimed
                if claimed and handle.key is not None:
                    key = account.keys[handle.key]
                    claimed, key.released = not key.released, True
                return claimed and account.give_back(back, handle.took.at)

            both(handle.real.release, expected)


@dataclass(frozen=True)
class Release:
    who: int
    asked: Mapping[str, int]

    def __call__(self, world: World) -> None:
        (organization, account), now = world.of(self.who), clock.now()
        both(
            lambda: quotas.release(organization, self.asked),
            lambda: account.release(self.asked, now),
        )


@dataclass(frozen=True)
class Reserve:
    who: int
    asked: Mapping[str, int]
    when_short: str
    key: str | None

    def __call__(self, world: World) -> None:
        (organization, account), now = world.of(self.who), clock.now()
        world.requests += [self] if self.key else []
        got = both(
            lambda: quotas.reserve(organization, self.asked, when_short=self.when_short, key=self.key),
            lambda: account.once(
                self.key, ("reserve", self.asked, self.when_short),
                lambda: account.reserve(self.asked, self.when_short, now),
            ),
            lambda real: (self.number(world, real), real.replayed),
        )  # fmt: skip
        if got is not None:
            real, (number, replayed) = got
            hold = account.holds[number]
            assert real.amounts == hold.amounts
            world.reservations.append(ReservationHandle(real, self.who, number))
            if not replayed:
                world.bound(Took(hold.amounts, hold.at), self.when_short)

    def number(self, world: World, real: quotas.Reservation) -> int:
        """Which of the oracle's holds it is: one that is known by its key, or the newest."""
        known = [handle.number for handle in world.reservations if handle.real.key == real.key]
        return (known or [len(world.accounts[self.who].holds) - 1])[0]


@dataclass(frozen=True)
class Repeat:
    """A request with a key, made again."""

    which: int

    def __call__(self, world: World) -> None:
        for request in chosen(world.requests, self.which):
            request(world)


@dataclass(frozen=True)
class Commit:
    which: int
    actual: Callable[[int], int]
    """Of what is held of a feature."""

    def __call__(self, world: World) -> None:
        now = clock.now()
        for handle in chosen(world.reservations, self.which):
            organization, account = world.of(handle.who)
            actual = {feature: self.actual(n) for feature, n in handle.real.amounts.items()}
            more = any(actual[feature] > n for feature, n in handle.real.amounts.items())
            # Picked up afresh, as another process would; the number alone where there is one feature.
            told = next(iter(actual.values())) if len(actual) == 1 else actual
            fresh = quotas.reservation(organization, handle.real.key)
            got = both(
                partial(fresh.commit, told), partial(account.commit, handle.number, actual, now), shown,
                converts=not more,
            )  # fmt: skip
            if got is not None:
                world.grants.append(GrantHandle(got[0], handle.who, got[1]))


@dataclass(frozen=True)
class LetGo:
    """Reservation.release."""

    which: int

    def __call__(self, world: World) -> None:
        for handle in chosen(world.reservations, self.which):
            both(handle.real.release, partial(world.of(handle.who)[1].let_go, handle.number), converts=True)


@dataclass(frozen=True)
class Expire:
    """Its time has passed, by the database's clock."""

    which: int

    def __call__(self, world: World) -> None:
        for handle in chosen(world.reservations, self.which):
            Hold.objects.filter(key=handle.real.key).update(expires_at=LONG_AGO)
            world.of(handle.who)[1].expire(handle.number)


@dataclass(frozen=True)
class Sweep:
    who: int
    feature: str

    def __call__(self, world: World) -> None:
        organization, _account = world.of(self.who)
        engine.sweep(organization, self.feature)


@dataclass(frozen=True)
class SetUsage:
    who: int
    feature: str
    used: int

    def __call__(self, world: World) -> None:
        (organization, account), now = world.of(self.who), clock.now()
        both(
            lambda: quotas.set_usage(organization, self.feature, self.used),
            lambda: account.set_usage(self.feature, self.used, now),
        )


@dataclass(frozen=True)
class Recount:
    who: int

    def __call__(self, world: World) -> None:
        (organization, account), now = world.of(self.who), clock.now()
        both(
            lambda: quotas.recount(organization, "seats"),
            lambda: account.set_usage("seats", SEATS, now),
        )


Act = Callable[[World], None]
