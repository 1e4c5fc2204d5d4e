"""What must hold of every payment, each rule by its id."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from datetime import timedelta
from typing import NamedTuple

from django.db.models import Count
from django.db.models.functions import Lower

from ..models import PaymentTransaction
from ..states import CHECK_AFTER, HORIZON, OPEN, SETTLED, PaymentState, may_move
from .findings import Finding, Severity
from .reading import Case, Kind, case_of, cases
from .receipts import number_findings, receipted

S = PaymentState

ENDS = frozenset(PaymentState) - OPEN - {S.CREATED, S.REFUND_PENDING}
"""States that somebody, or something that was answered, must answer for."""


def at_most_once(case: Case) -> Iterator[str]:
    """I-1: what was paid was given, once; what was not paid was not given."""
    given, paid = case.activation, case.story.was_paid
    if paid and given is None:
        yield "it was paid, and nothing was given for it"
    if given is not None and not paid:
        yield "a plan was given for it, and its log never says that it was paid"
    if given is not None and given.purchase != case.payment.purchase:
        yield f"it belongs to purchase {case.payment.purchase}, and what it gave to {given.purchase}"
    if case.bought != (given is not None):
        yield f"the history of subscriptions counts it {case.bought} times"


def sticky(case: Case) -> Iterator[str]:
    """I-3: every step is one the table allows, and nothing but a refund follows what was paid."""
    paid = False
    for source, to in case.story.steps:
        if paid and to not in SETTLED:
            yield f"it was paid, and went from {source} to {to}"
        elif {source, to} <= set(S.values) and not may_move(source, to):
            yield f"its log says {source} to {to}, which is no step a payment can take"
        paid = paid or to == S.PAID


def conserved(case: Case) -> Iterator[str]:
    """I-5: what came, what was given for it and what went back add up, in whole paisa."""
    payment, came = case.payment, case.payment.money_minor
    low, high = {S.REFUNDED: (came, came), S.PARTIALLY_REFUNDED: (0, came), S.REFUND_PENDING: (0, came)}.get(
        S(payment.status), (0, 0)
    )
    if not low <= payment.refunded_minor <= high:
        yield f"{payment.refunded_minor} paisa of {came} went back, and it is {payment.status}"
    given = case.activation
    if given is not None and payment.status == S.PAID and given.value_minor - given.spent_credit_minor != came:
        yield f"{came} paisa came, and {given.value_minor - given.spent_credit_minor} were counted as paid"


def bound(case: Case) -> Iterator[str]:
    """I-6: log, money and plan are those of this payment, as it stood before its payer left."""
    payment, given = case.payment, case.activation
    for line in case.lines:
        if (line.reference, line.gateway) != (payment.reference, payment.gateway):
            yield f"its log has a line of {line.reference} at {line.gateway}"
    reviewed = any(to == S.REVIEW for _source, to in case.story.steps)
    if payment.status in SETTLED and not reviewed and payment.money_minor != payment.amount_minor:
        yield f"{payment.money_minor} paisa came for {payment.amount_minor}, and nobody reviewed it"
    elif given is not None and given.price_minor != payment.money_minor + payment.credit_minor:
        yield f"{payment.money_minor} paisa came, and it gave what costs {given.price_minor}"
    if given is not None and (given.plan, given.currency) != (payment.plan_id, payment.currency):
        yield f"it is for {payment.plan_id} in {payment.currency}, and gave {given.plan} in {given.currency}"


def as_started(case: Case) -> Iterator[str]:
    """I-8: plan, price and length are those it was started with."""
    now = {
        "plan": case.payment.plan_id, "amount_minor": case.payment.amount_minor,
        "credit_minor": case.payment.credit_minor, "currency": case.payment.currency,
        "interval": case.payment.interval, "interval_count": case.payment.interval_count,
    }  # fmt: skip
    for line in case.lines:
        for name, then in line.data.items() if line.kind == Kind.STARTED else ():
            if now.get(name, then) != then:
                yield f"it was started with {name} {then}, and has {now[name]}"


def scheduled(case: Case) -> Iterator[str]:
    """I-9: what is open will be asked about."""
    if case.payment.status in OPEN | {S.REFUND_PENDING} and case.payment.next_check_at is None:
        yield f"it is {case.payment.status}, and nobody will ask about it"


def asked_often(case: Case) -> Iterator[str]:
    """I-9: the schedule asks a bounded number of times, unless a person has it asked again."""
    began = case.payment.initiated_at or case.payment.created_at
    answers = [line for line in case.lines if line.kind == Kind.PROOF and line.actor == "reconcile"]
    number = sum(line.at < began + HORIZON for line in answers)
    if number > len(CHECK_AFTER):
        yield f"it was asked about {number} times in its first {HORIZON.days} days, and {len(CHECK_AFTER)} are planned"


def folds(case: Case) -> Iterator[str]:
    """I-16: the log, read from its first line, leads to the row."""
    payment, story = case.payment, case.story
    yield from story.gaps
    if (story.status, story.detail) != (payment.status, payment.detail):
        told = " ".join(filter(None, (story.status, story.detail))) or "nothing"
        yield f"its log leads to {told}, and its row says {payment.status} {payment.detail}".rstrip()


def explained(case: Case) -> Iterator[str]:
    """I-19: whatever ended names who or what ended it; what was paid has a proof or a person's reason."""
    proved, answered = False, False
    for line in case.lines:
        if line.kind == Kind.PROOF:
            proved = answered = True
        elif line.kind == Kind.NO_ANSWER:
            answered = True
        elif line.kind == Kind.MOVED:
            if line.to == S.PAID and not proved and not (line.actor and line.data.get("reason")):
                yield "it was paid with neither a proof nor a person's reason"
            elif line.source == S.REVIEW and not (line.actor and line.data.get("reason")):
                yield f"nothing in its log says who made it {line.to} in the review, and why"
            elif line.to in ENDS and not (line.actor or line.data or answered):
                yield f"nothing in its log says who or what made it {line.to}"
            answered = False


class Rule(NamedTuple):
    id: str
    severity: Severity
    broken: Callable[[Case], Iterator[str]]
    command: str


SHOW = "manage.py billing_verify --payment {reference}"
ASK = "manage.py reconcile_payments --since {day:%Y-%m-%d}"

RULES = (
    Rule("I-1", Severity.VIOLATION, at_most_once, SHOW),
    Rule("I-3", Severity.VIOLATION, sticky, SHOW),
    Rule("I-5", Severity.VIOLATION, conserved, SHOW),
    Rule("I-6", Severity.VIOLATION, bound, SHOW),
    Rule("I-8", Severity.VIOLATION, as_started, SHOW),
    Rule("I-9", Severity.VIOLATION, scheduled, ASK),
    Rule("I-9", Severity.WARNING, asked_often, SHOW),
    Rule("I-16", Severity.VIOLATION, folds, SHOW),
    Rule("I-19", Severity.VIOLATION, explained, SHOW),
    Rule("receipts", Severity.VIOLATION, receipted, SHOW),
)


def payment_findings(using: str, only: Collection[str]) -> Iterator[Finding]:
    """What is wrong with any payment, by the rules with these ids. Safe while payments are made."""
    rules = [rule for rule in RULES if rule.id in only]
    for case in cases(using) if rules else ():
        if any(_findings(case, rules)):
            for still in case_of(using, case.payment.pk):
                yield from _findings(still, rules)
    if "I-6" in only:
        yield from _reused(using)
    if "receipts" in only:
        yield from number_findings(using)


def findings_of(case: Case) -> list[Finding]:
    """What is wrong with this payment by itself."""
    return list(_findings(case, RULES))


def _findings(case: Case, rules: Collection[Rule]) -> Iterator[Finding]:
    payment = case.payment
    for rule in rules:
        # A day earlier: whoever types it may live in another time zone.
        command = rule.command.format(reference=payment.reference, day=payment.created_at - timedelta(days=1))
        for problem in rule.broken(case):
            yield Finding(
                id=rule.id, severity=rule.severity, subject=payment.reference, problem=problem, command=command
            )


def _reused(using: str) -> Iterator[Finding]:
    """I-6: what a gateway calls its money belongs to one payment, however its letters are written."""
    payments = PaymentTransaction.objects.using(using).exclude(gateway_transaction_id=None).order_by()
    named = payments.annotate(number=Lower("gateway_transaction_id"))
    for gateway, number in (
        named.values("gateway", "number").annotate(n=Count("pk")).filter(n__gt=1).values_list("gateway", "number")
    ):
        first, *others = named.filter(gateway=gateway, number=number).order_by("pk").values_list("reference", flat=True)
        yield Finding(
            id="I-6",
            severity=Severity.VIOLATION,
            subject=first,
            problem=f"transaction {number} of {gateway} also paid for {', '.join(others[:5])}",
            command=SHOW.format(reference=first),
        )
