"""Defects in what is written when: locks, guards, constraints, commits."""

from __future__ import annotations

from tests.mutants.mutant import Mutant, one

SETTLING, DOOR, VERDICTS, CALLBACKS = "payments/settling.py", "payments/door.py", "verdicts.py", "views/callbacks.py"
REFUNDING, ACTIVATIONS, MIGRATION = "payments/refunding.py", "models/activations.py", "migrations/0001_initial.py"
PAYMENTS, ESEWA, KILLS, REFUNDS = "test_payments.py", "test_esewa.py", "races/test_kills.py", "test_refunding.py"
ACTIVATED = "        if target == S.PAID:\n            payment.activate_plan()\n"
REDRIVEN = "        elif payment.status == S.PAID:\n            payment.activate_plan()\n"
LATER = "        if target == S.PAID:\n            transaction.on_commit(payment.activate_plan, robust=True)\n"
ASKED = "            log(payment, Kind.ASKED, actor=actor)\n"
ASK = "    payment = payments.find(gateway, named) if named else None\n"
BROWSER = "    PaymentTransaction.objects.filter(gateway=gateway, reference=reference or '', status__in=['initiated', "
FIND = "            done = Activation.objects.using(using).filter(payment=locked).first()\n"
PURCHASE = 'purchase = models.CharField(_("purchase"), max_length=32, null=True, blank=True, unique=True)'
PURCHASE_ROW = 'models.CharField(blank=True, max_length=32, null=True, unique=True, verbose_name="purchase")'
PAYMENT_ROW = (
    "models.OneToOneField(\n                        blank=True,\n                        null=True,\n"
    "                        on_delete=django.db.models.deletion.PROTECT,\n"
    '                        related_name="activation",\n'
)
TWO_PURCHASES = ((ACTIVATIONS, PURCHASE, PURCHASE.replace(", unique=True", "")),
                 (MIGRATION, PURCHASE_ROW, PURCHASE_ROW.replace(", unique=True", "")))  # fmt: skip
TWO_PAYMENTS = ((MIGRATION, PAYMENT_ROW, PAYMENT_ROW.replace("OneToOneField", "ForeignKey")),)
LOCKED = "return payments().select_for_update().get(pk=payment.pk)"
UNLOCKED = "payments().select_for_update().filter(pk=payment.pk)\n    return payments().get(pk=payment.pk)"

GUARDS: list[Mutant] = [
    one("asking without WHERE status", SETTLING, "pk=payment.pk, status__in=states", "pk=payment.pk", PAYMENTS,
        "test_reviewing.py"),
    one("asking without WHERE lease", SETTLING,
        ".filter(Q(leased_until=None) | Q(leased_until__lt=clock.DatabaseNow()))", ".filter(Q())", PAYMENTS),
    one("a lease that never ends", SETTLING, "Q(leased_until=None) | Q(leased_until__lt=clock.DatabaseNow())",
        "Q(leased_until=None)", PAYMENTS),
    one("any step is allowed", DOOR, "if not may_move(source, target):", "if source == target:", PAYMENTS),
    one("a failure overwrites paid, in the table", "states.py",
        "S.PAID: frozenset({S.REFUND_PENDING, ", "S.PAID: frozenset({S.CANCELED, S.FAILED, S.REFUND_PENDING, ",
        "test_states.py"),
    Mutant("a failure overwrites paid", (
        (VERDICTS, "if here in SETTLED:", "if here in SETTLED - {S.PAID}:"),
        (VERDICTS, "if here not in OPEN | SOFT_FAILED:", "if here not in OPEN | SOFT_FAILED | {S.PAID}:"),
    ), (ESEWA, PAYMENTS)),
    one("a failure is final", VERDICTS, "    if proof.outcome is Outcome.SUCCEEDED:\n",
        "    if proof.outcome is Outcome.SUCCEEDED and here not in SOFT_FAILED:\n", PAYMENTS),
    one("no answer is a failure", SETTLING, "(overdue(payment, here, now) if here in OPEN else None) or (here, \"\")",
        "(S.FAILED, \"no_answer\") if here in OPEN else (here, \"\")", PAYMENTS),
    one("one NOT_FOUND is enough", VERDICTS, "now - began >= NOT_FOUND_AFTER and now - first >= NOT_FOUND_APART",
        "now - began >= NOT_FOUND_AFTER", ESEWA),
    one("a browser's failure is believed", CALLBACKS, "    payment, fits = _ask(request, gateway, reference, claim)\n"
        "    return see_other(result_url(payment) if payment and fits",
        f"{BROWSER}'pending']).update(status='failed')\n"
        "    payment, fits = _ask(request, gateway, reference, claim)\n"
        "    return see_other(result_url(payment) if payment and fits", ESEWA),
    one("a browser's cancellation is believed", CALLBACKS, ASK,
        f"    if claim.status == 'User canceled':\n    {BROWSER}'pending']).update(status='canceled')\n{ASK}",
        "test_views_callbacks.py"),
    one("a browser's success is believed", CALLBACKS, ASK,
        f"    if claim.status in ('Completed', 'COMPLETE'):\n"
        f"    {BROWSER}'pending']).update(status='paid', paid_at='2026-01-01T00:00Z')\n{ASK}",
        "test_views_callbacks.py", ESEWA),
    one("our reference is a capability", "payments/claims.py", "(claim.authenticated and claim.reference ==",
        "(claim.reference ==", "test_views_callbacks.py"),
]  # fmt: skip

ONCE: list[Mutant] = [
    Mutant("activation without UNIQUE payment", TWO_PAYMENTS, ("test_models.py",)),
    Mutant("activation without UNIQUE purchase", TWO_PURCHASES, ("test_models.py",)),
    one("activation without a look", "models/payments.py", FIND, "            done = None\n", "test_models.py",
        PAYMENTS),
    Mutant("activation without UNIQUE and without a look", (
        *TWO_PAYMENTS, *TWO_PURCHASES, ("models/payments.py", FIND, "            done = None\n"),
    ), (PAYMENTS, "test_models.py")),
    one("a second attempt of a purchase activates it too", VERDICTS,
        "if activations.filter(purchase=payment.purchase).exists():", "if payment.purchase == \"\":", PAYMENTS),
    one("activating in a second commit", SETTLING, ACTIVATED, LATER, KILLS),
    one("not activated on the way back", SETTLING, REDRIVEN, "", PAYMENTS),
    Mutant("activating in a second commit, and not on the way back", (
        (SETTLING, ACTIVATED, LATER), (SETTLING, REDRIVEN, ""),
    ), (KILLS,)),
    one("asked, but not yet logged", SETTLING, ASKED, "            pass\n", PAYMENTS),
    Mutant("logged that it was asked only with what was answered", (
        (SETTLING, ASKED, "            pass\n"),
        (SETTLING, "        log(payment, Kind.PROOF,", f"{ASKED[4:]}        log(payment, Kind.PROOF,"),
        (SETTLING, "        log(payment, Kind.NO_ANSWER,", f"{ASKED[4:]}        log(payment, Kind.NO_ANSWER,"),
    ), ("test_views_callbacks.py",)),
    one("a claim is logged in the transaction of the request", "payments/claims.py",
        '        with Durable("record_claim"):\n            if payment is not None', "        if True:\n"
        "            if payment is not None", PAYMENTS),
    one("a claim is logged after its work", CALLBACKS, "    try:\n        fits = payments.record_claim(",
        "    if payment is not None:\n        payment = payments.settle(payment, actor=\"callback\")\n"
        "    try:\n        fits = payments.record_claim(", "test_views_callbacks.py"),
    one("a callback in the transaction of the request", CALLBACKS,
        "@non_atomic\n@require_GET\ndef callback(", "@require_GET\ndef callback(", "test_views_callbacks.py"),
    one("a receiver that raises hides a success", "models/payments.py", "signals.plan_activated.send_robust",
        "signals.plan_activated.send", PAYMENTS),
]  # fmt: skip

LOCKS: list[Mutant] = [
    one("the lock of a payment is not evaluated", DOOR, LOCKED, UNLOCKED, "races/test_refund_races.py",
        database="postgres"),
    one("the lock of a subscription is not evaluated", "models/standing.py",
        "found = self.select_for_update().filter(organization_id=organization_id).first()",
        "self.select_for_update().filter(organization_id=organization_id)\n"
        "        found = self.filter(organization_id=organization_id).first()",
        "races/test_payment_races.py", database="postgres"),
    one("activation without the lock of its payment", "models/payments.py",
        "PaymentTransaction.objects.using(using).select_for_update().get(pk=self.pk)",
        "PaymentTransaction.objects.using(using).get(pk=self.pk)", "races/test_payment_races.py",
        database="postgres"),
    one("two sweeps ask about the same", "payments/reconciling.py", "batch = list(due.select_for_update("
        "skip_locked=skip)[: min(BATCH, limit)])", "batch = list(due[: min(BATCH, limit)])",
        "races/test_sweep_races.py", database="postgres"),
    one("a recount without the lock of its counter", "models/statements.py",
        '"postgresql": f"SELECT * FROM tenant_billing_usagecounter WHERE {COUNTER} FOR UPDATE",',
        '"postgresql": f"SELECT * FROM tenant_billing_usagecounter WHERE {COUNTER}",',
        "races/test_recount_races.py", database="postgres"),
    one("counters in the caller's order", "quotas/orders.py", "return sorted(features, key=str.upper)",
        "return list(features)", "test_orders.py"),
    one("a guard that is not in the WHERE", "models/statements.py",
        "updated_at = %(now)s, grace_ends_at = NULL WHERE {COUNTER} AND {ROOM}\"\"\"\n\nHOLD",
        "updated_at = %(now)s, grace_ends_at = NULL WHERE {COUNTER}\"\"\"\n\nHOLD", "test_quotas.py"),
]  # fmt: skip

CALENDAR: list[Mutant] = [
    one("months are added to months", "periods.py", "            return _boundary(then, step, number + more, zone)\n",
        "            return _boundary(there, interval, count, zone)\n", "test_periods.py"),
    one("a renewal counts from now", "periods.py", "    return _boundary(there, interval, count, zone)\n",
        "    return _boundary(then, interval, count, zone)\n", "test_periods.py"),
]  # fmt: skip

WRITES = [*GUARDS, *ONCE, *LOCKS, *CALENDAR]
