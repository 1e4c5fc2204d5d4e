from typing import Any

import django.core.validators
import django.db.models.deletion
import django.db.models.expressions
import django.db.models.functions.comparison
from django.conf import settings
from django.db import migrations, models
from django.db.migrations.migration import SwappableTuple

import django_tenant_billing.clock
from django_tenant_billing.conf import conf


def leave_room(apps: Any, schema_editor: Any) -> None:
    # A counter's row changes with each call. PostgreSQL writes the new one beside it, where there is room on the page.
    if schema_editor.connection.vendor == "postgresql":
        table = apps.get_model("tenant_billing", "UsageCounter")._meta.db_table
        schema_editor.execute(f"ALTER TABLE {table} SET (fillfactor = 90)")


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        # Any tenant model: its key may be an integer or a UUID, its table may come in a later migration.
        SwappableTuple(
            (conf.organization_model.split(".")[0], conf.organization_migration), "TENANT_BILLING_ORGANIZATION_MODEL"
        ),
    ]

    operations = [
        migrations.CreateModel(
            name="Breaker",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("gateway", models.CharField(max_length=50, unique=True, verbose_name="gateway")),
                ("failures", models.PositiveIntegerField(default=0, verbose_name="unanswered in a row")),
                ("opened_at", models.DateTimeField(blank=True, null=True, verbose_name="not asked since")),
                ("probe_at", models.DateTimeField(blank=True, null=True, verbose_name="tried again at")),
                ("halted", models.CharField(blank=True, max_length=200, verbose_name="halted because")),
            ],
            options={
                "verbose_name": "breaker",
                "verbose_name_plural": "breakers",
                "ordering": ["gateway"],
            },
        ),
        migrations.CreateModel(
            name="Feature",
            fields=[
                ("slug", models.CharField(max_length=50, primary_key=True, serialize=False, verbose_name="slug")),
                ("singular", models.CharField(max_length=80, verbose_name="label for one")),
                ("plural", models.CharField(max_length=80, verbose_name="label for many")),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("happens", "happens: starts again each period"),
                            ("exists", "exists: counted while it is there"),
                            ("on_off", "on or off: never counted"),
                        ],
                        max_length=10,
                        verbose_name="kind",
                    ),
                ),
                (
                    "reset",
                    models.CharField(
                        choices=[
                            ("anchor", "each billing month"),
                            ("month", "each calendar month"),
                            ("week", "each week"),
                            ("day", "each day"),
                        ],
                        default="anchor",
                        help_text="For a feature that happens. A change counts from the next period.",
                        max_length=8,
                        verbose_name="starts again",
                    ),
                ),
                (
                    "kept_in_grace",
                    models.BooleanField(
                        default=True,
                        help_text="In the days of grace: is it the limit of the plan, or that of the fallback plan?",
                        verbose_name="kept in grace",
                    ),
                ),
                ("position", models.PositiveSmallIntegerField(default=0, verbose_name="position")),
            ],
            options={
                "verbose_name": "feature",
                "verbose_name_plural": "features",
                "ordering": ["position", "slug"],
            },
        ),
        migrations.CreateModel(
            name="Heartbeat",
            fields=[
                ("name", models.CharField(max_length=50, primary_key=True, serialize=False, verbose_name="command")),
                ("at", models.DateTimeField(verbose_name="last ran at")),
            ],
            options={
                "verbose_name": "heartbeat",
                "verbose_name_plural": "heartbeats",
                "ordering": ["name"],
            },
        ),
        migrations.CreateModel(
            name="Plan",
            fields=[
                ("code", models.CharField(max_length=32, primary_key=True, serialize=False, verbose_name="code")),
                ("name", models.CharField(max_length=80, verbose_name="name")),
                (
                    "position",
                    models.PositiveSmallIntegerField(
                        default=0, help_text="Lower plans come first.", verbose_name="position"
                    ),
                ),
                ("is_active", models.BooleanField(default=True, verbose_name="for sale")),
                (
                    "grace_days",
                    models.PositiveSmallIntegerField(
                        default=0,
                        help_text="For how many days it goes on after its paid end. Counts from the next payment on.",
                        validators=[django.core.validators.MaxValueValidator(366)],
                        verbose_name="days of grace",
                    ),
                ),
                (
                    "trial_days",
                    models.PositiveSmallIntegerField(
                        default=0,
                        help_text="For how many days it can be tried, once. 0: not at all.",
                        validators=[django.core.validators.MaxValueValidator(366)],
                        verbose_name="days of trial",
                    ),
                ),
            ],
            options={
                "verbose_name": "plan",
                "verbose_name_plural": "plans",
                "ordering": ["position", "code"],
            },
        ),
        migrations.CreateModel(
            name="ReceiptSequence",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=20, unique=True, verbose_name="name")),
                ("last", models.PositiveBigIntegerField(default=0, verbose_name="last number")),
            ],
            options={
                "verbose_name": "receipt sequence",
                "verbose_name_plural": "receipt sequences",
                "ordering": ["name"],
            },
        ),
        migrations.CreateModel(
            name="Throttle",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=120, unique=True, verbose_name="name")),
                ("started_at", models.DateTimeField(db_index=True, verbose_name="since")),
                ("count", models.PositiveIntegerField(verbose_name="count")),
            ],
            options={
                "verbose_name": "throttle",
                "verbose_name_plural": "throttles",
                "ordering": ["name"],
            },
        ),
        migrations.CreateModel(
            name="TrialMark",
            fields=[
                ("digest", models.CharField(max_length=64, primary_key=True, serialize=False)),
                ("plan", models.CharField(max_length=32, verbose_name="plan")),
                ("at", models.DateTimeField(verbose_name="at")),
            ],
            options={
                "verbose_name": "trial mark",
                "verbose_name_plural": "trial marks",
                "ordering": ["at", "digest"],
            },
        ),
        migrations.CreateModel(
            name="PaymentTransaction",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("organization_key", models.CharField(max_length=64, verbose_name="organization key")),
                ("organization_name", models.CharField(max_length=200, verbose_name="organization name")),
                ("reference", models.CharField(max_length=20, unique=True, verbose_name="reference")),
                ("purchase", models.CharField(db_index=True, max_length=32, verbose_name="purchase")),
                ("gateway", models.CharField(max_length=50, verbose_name="gateway")),
                (
                    "gateway_reference",
                    models.CharField(blank=True, max_length=100, null=True, verbose_name="gateway's reference"),
                ),
                (
                    "gateway_transaction_id",
                    models.CharField(blank=True, max_length=100, null=True, verbose_name="gateway's transaction id"),
                ),
                ("amount_minor", models.BigIntegerField(verbose_name="amount in paisa")),
                ("credit_minor", models.BigIntegerField(default=0, verbose_name="paid by credit, in paisa")),
                ("received_minor", models.BigIntegerField(blank=True, null=True, verbose_name="received in paisa")),
                ("refunded_minor", models.BigIntegerField(default=0, verbose_name="refunded in paisa")),
                ("currency", models.CharField(max_length=3, verbose_name="currency")),
                (
                    "interval",
                    models.CharField(
                        choices=[("day", "day"), ("month", "month"), ("year", "year")],
                        max_length=8,
                        verbose_name="interval",
                    ),
                ),
                ("interval_count", models.PositiveSmallIntegerField(verbose_name="intervals")),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("created", "created"),
                            ("initiated", "initiated"),
                            ("pending", "pending"),
                            ("paid", "paid"),
                            ("review", "in review"),
                            ("failed", "failed"),
                            ("canceled", "canceled"),
                            ("expired", "expired"),
                            ("refund_pending", "refund pending"),
                            ("partially_refunded", "partially refunded"),
                            ("refunded", "refunded"),
                            ("dismissed", "dismissed"),
                        ],
                        default="created",
                        max_length=20,
                        verbose_name="status",
                    ),
                ),
                ("detail", models.CharField(blank=True, max_length=50, verbose_name="detail")),
                ("buyer", models.JSONField(blank=True, default=dict, verbose_name="buyer")),
                ("suspicion", models.CharField(blank=True, max_length=30, verbose_name="suspicion")),
                ("actor", models.CharField(blank=True, max_length=200, verbose_name="started by")),
                ("created_at", models.DateTimeField(verbose_name="created at")),
                ("initiated_at", models.DateTimeField(blank=True, null=True, verbose_name="initiated at")),
                ("paid_at", models.DateTimeField(blank=True, null=True, verbose_name="paid at")),
                ("updated_at", models.DateTimeField(auto_now=True, verbose_name="updated at")),
                ("unanswered", models.PositiveSmallIntegerField(default=0, verbose_name="unanswered checks")),
                (
                    "next_check_at",
                    models.DateTimeField(blank=True, db_index=True, null=True, verbose_name="next check at"),
                ),
                ("leased_until", models.DateTimeField(blank=True, null=True, verbose_name="being asked until")),
                (
                    "organization",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        to=settings.TENANT_BILLING_ORGANIZATION_MODEL,
                        verbose_name="organization",
                    ),
                ),
                (
                    "plan",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="payments",
                        to="tenant_billing.plan",
                        verbose_name="plan",
                    ),
                ),
            ],
            options={
                "verbose_name": "payment transaction",
                "verbose_name_plural": "payment transactions",
                "ordering": ["-created_at", "-pk"],
            },
        ),
        migrations.CreateModel(
            name="PaymentEvent",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("reference", models.CharField(blank=True, max_length=20, verbose_name="reference")),
                ("organization_key", models.CharField(blank=True, max_length=64, verbose_name="organization key")),
                ("organization_name", models.CharField(blank=True, max_length=200, verbose_name="organization name")),
                ("gateway", models.CharField(max_length=50, verbose_name="gateway")),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("started", "started"),
                            ("claim", "claim"),
                            ("asked", "asked"),
                            ("proof", "proof"),
                            ("no_answer", "no answer"),
                            ("moved", "moved"),
                            ("refused", "refused"),
                        ],
                        max_length=10,
                        verbose_name="kind",
                    ),
                ),
                ("from_status", models.CharField(blank=True, max_length=20, verbose_name="from")),
                ("to_status", models.CharField(blank=True, max_length=20, verbose_name="to")),
                ("detail", models.CharField(blank=True, max_length=200, verbose_name="detail")),
                ("data", models.JSONField(default=dict, verbose_name="data")),
                ("actor", models.CharField(blank=True, max_length=200, verbose_name="actor")),
                ("at", models.DateTimeField(verbose_name="at")),
                (
                    "payment",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="events",
                        to="tenant_billing.paymenttransaction",
                        verbose_name="payment",
                    ),
                ),
            ],
            options={
                "verbose_name": "payment event",
                "verbose_name_plural": "payment events",
                "ordering": ["pk"],
            },
        ),
        migrations.CreateModel(
            name="PlanLimit",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "limit_value",
                    models.BigIntegerField(
                        blank=True,
                        help_text="Empty is unlimited, 0 is not included.",
                        null=True,
                        validators=[
                            django.core.validators.MinValueValidator(0),
                            django.core.validators.MaxValueValidator(9007199254740991),
                        ],
                        verbose_name="limit",
                    ),
                ),
                ("trial_differs", models.BooleanField(default=False, verbose_name="another limit during a trial")),
                (
                    "trial_limit_value",
                    models.BigIntegerField(
                        blank=True,
                        help_text="Only where it differs. Empty is unlimited, 0 is not included.",
                        null=True,
                        validators=[
                            django.core.validators.MinValueValidator(0),
                            django.core.validators.MaxValueValidator(9007199254740991),
                        ],
                        verbose_name="limit during a trial",
                    ),
                ),
                (
                    "grace_days",
                    models.PositiveSmallIntegerField(
                        default=0,
                        help_text="For how many days the limit may be exceeded before it holds. 0 is a hard limit.",
                        validators=[django.core.validators.MaxValueValidator(366)],
                        verbose_name="days of grace",
                    ),
                ),
                (
                    "feature",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="limits",
                        to="tenant_billing.feature",
                        verbose_name="feature",
                    ),
                ),
                (
                    "plan",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="limits",
                        to="tenant_billing.plan",
                        verbose_name="plan",
                    ),
                ),
            ],
            options={
                "verbose_name": "plan limit",
                "verbose_name_plural": "plan limits",
                "ordering": ["plan__position", "plan", "feature__position", "feature"],
            },
        ),
        migrations.CreateModel(
            name="PlanPrice",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "amount_minor",
                    models.BigIntegerField(
                        validators=[django.core.validators.MinValueValidator(0)], verbose_name="price in paisa"
                    ),
                ),
                ("currency", models.CharField(default="NPR", max_length=3, verbose_name="currency")),
                (
                    "interval",
                    models.CharField(
                        choices=[("day", "day"), ("month", "month"), ("year", "year")],
                        default="month",
                        max_length=8,
                        verbose_name="interval",
                    ),
                ),
                (
                    "interval_count",
                    models.PositiveSmallIntegerField(
                        default=1,
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(1000),
                        ],
                        verbose_name="intervals",
                    ),
                ),
                (
                    "is_default",
                    models.BooleanField(
                        blank=True,
                        choices=[(True, "yes"), (None, "no")],
                        default=None,
                        null=True,
                        verbose_name="default",
                    ),
                ),
                (
                    "plan",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="prices",
                        to="tenant_billing.plan",
                        verbose_name="plan",
                    ),
                ),
            ],
            options={
                "verbose_name": "price",
                "verbose_name_plural": "prices",
                "ordering": ["plan", "amount_minor", "pk"],
            },
        ),
        migrations.CreateModel(
            name="Receipt",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("organization_key", models.CharField(max_length=64, verbose_name="organization key")),
                ("organization_name", models.CharField(max_length=200, verbose_name="organization name")),
                ("number", models.PositiveBigIntegerField(unique=True, verbose_name="number")),
                ("issued_at", models.DateTimeField(verbose_name="issued at")),
                ("seller_name", models.CharField(blank=True, max_length=200, verbose_name="seller")),
                ("seller_address", models.CharField(blank=True, max_length=500, verbose_name="seller's address")),
                ("seller_pan", models.CharField(blank=True, max_length=20, verbose_name="seller's PAN")),
                ("buyer_name", models.CharField(max_length=200, verbose_name="buyer")),
                ("buyer_address", models.CharField(blank=True, max_length=500, verbose_name="buyer's address")),
                ("buyer_pan", models.CharField(blank=True, max_length=20, verbose_name="buyer's PAN")),
                ("description", models.CharField(max_length=200, verbose_name="description")),
                ("currency", models.CharField(max_length=3, verbose_name="currency")),
                ("net_minor", models.BigIntegerField(verbose_name="net in paisa")),
                ("vat_minor", models.BigIntegerField(verbose_name="VAT in paisa")),
                ("total_minor", models.BigIntegerField(verbose_name="total in paisa")),
                ("vat_percent", models.PositiveSmallIntegerField(verbose_name="VAT in percent")),
                (
                    "organization",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        to=settings.TENANT_BILLING_ORGANIZATION_MODEL,
                        verbose_name="organization",
                    ),
                ),
                (
                    "payment",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="receipt",
                        to="tenant_billing.paymenttransaction",
                        verbose_name="payment",
                    ),
                ),
            ],
            options={
                "verbose_name": "receipt",
                "verbose_name_plural": "receipts",
                "ordering": ["-number"],
            },
        ),
        migrations.CreateModel(
            name="Subscription",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "anchor",
                    models.DateTimeField(help_text="Billing months are counted from here.", verbose_name="anchor"),
                ),
                ("period_start", models.DateTimeField(verbose_name="period start")),
                (
                    "period_end",
                    models.DateTimeField(
                        blank=True,
                        help_text="Empty for a plan that does not end.",
                        null=True,
                        verbose_name="paid until",
                    ),
                ),
                (
                    "next_period_end",
                    models.DateTimeField(
                        blank=True,
                        help_text="Empty while the next plan is not paid.",
                        null=True,
                        verbose_name="next plan paid until",
                    ),
                ),
                (
                    "trial_ends_at",
                    models.DateTimeField(
                        blank=True,
                        help_text="While it lasts, limits of a trial hold.",
                        null=True,
                        verbose_name="trial ends at",
                    ),
                ),
                (
                    "grace_ends_at",
                    models.DateTimeField(
                        blank=True,
                        help_text="Until then what was paid for goes on after its end.",
                        null=True,
                        verbose_name="grace ends at",
                    ),
                ),
                ("canceled_at", models.DateTimeField(blank=True, null=True, verbose_name="canceled at")),
                ("credit_minor", models.BigIntegerField(default=0, verbose_name="credit in paisa")),
                ("credit_currency", models.CharField(blank=True, max_length=3, verbose_name="currency of the credit")),
                ("caught_up_at", models.DateTimeField(blank=True, null=True, verbose_name="caught up at")),
                ("due_at", models.DateTimeField(blank=True, db_index=True, null=True, verbose_name="due at")),
                ("created_at", models.DateTimeField(auto_now_add=True, verbose_name="created at")),
                ("updated_at", models.DateTimeField(auto_now=True, verbose_name="updated at")),
                (
                    "next_plan",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="tenant_billing.plan",
                        verbose_name="next plan",
                    ),
                ),
                (
                    "organization",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        to=settings.TENANT_BILLING_ORGANIZATION_MODEL,
                        verbose_name="organization",
                    ),
                ),
                (
                    "plan",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="subscriptions",
                        to="tenant_billing.plan",
                        verbose_name="plan",
                    ),
                ),
            ],
            options={
                "verbose_name": "subscription",
                "verbose_name_plural": "subscriptions",
                "ordering": ["organization"],
            },
        ),
        migrations.CreateModel(
            name="Activation",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "purchase",
                    models.CharField(blank=True, max_length=32, null=True, unique=True, verbose_name="purchase"),
                ),
                ("plan", models.CharField(max_length=32, verbose_name="plan")),
                ("at", models.DateTimeField(verbose_name="at")),
                ("starts_at", models.DateTimeField(verbose_name="from")),
                ("ends_at", models.DateTimeField(verbose_name="until")),
                ("value_minor", models.BigIntegerField(verbose_name="value in paisa")),
                ("spent_credit_minor", models.BigIntegerField(default=0, verbose_name="of it credit, in paisa")),
                ("currency", models.CharField(max_length=3, verbose_name="currency")),
                ("price_minor", models.BigIntegerField(verbose_name="price in paisa")),
                (
                    "interval",
                    models.CharField(
                        choices=[("day", "day"), ("month", "month"), ("year", "year")],
                        max_length=8,
                        verbose_name="interval",
                    ),
                ),
                ("interval_count", models.PositiveSmallIntegerField(verbose_name="intervals")),
                ("before", models.JSONField(verbose_name="before")),
                ("closed_at", models.DateTimeField(blank=True, null=True, verbose_name="closed at")),
                ("credited_minor", models.BigIntegerField(default=0, verbose_name="credited in paisa")),
                ("taken_back_at", models.DateTimeField(blank=True, null=True, verbose_name="taken back at")),
                (
                    "replaced_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="replaced",
                        to="tenant_billing.activation",
                        verbose_name="replaced by",
                    ),
                ),
                (
                    "payment",
                    models.OneToOneField(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="activation",
                        to="tenant_billing.paymenttransaction",
                        verbose_name="payment",
                    ),
                ),
                (
                    "subscription",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="activations",
                        to="tenant_billing.subscription",
                        verbose_name="subscription",
                    ),
                ),
            ],
            options={
                "verbose_name": "activation",
                "verbose_name_plural": "activations",
                "ordering": ["-at", "-pk"],
            },
        ),
        migrations.CreateModel(
            name="SubscriptionEvent",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("subscription_key", models.BigIntegerField(db_index=True, verbose_name="subscription")),
                ("organization_key", models.CharField(max_length=64, verbose_name="organization key")),
                ("organization_name", models.CharField(max_length=200, verbose_name="organization name")),
                (
                    "change",
                    models.CharField(
                        choices=[
                            ("trial_started", "trial started"),
                            ("trial_extended", "trial extended"),
                            ("started", "started"),
                            ("renewed", "renewed"),
                            ("upgraded", "upgraded"),
                            ("prepaid", "paid for the next plan"),
                            ("changed", "changed to the next plan"),
                            ("trial_ended", "trial ended"),
                            ("reminded", "reminded"),
                            ("grace_started", "grace started"),
                            ("expired", "expired"),
                            ("change_scheduled", "change scheduled"),
                            ("change_undone", "change undone"),
                            ("canceled", "canceled"),
                            ("resumed", "resumed"),
                            ("taken_back", "taken back"),
                            ("comped", "set by staff"),
                            ("extended", "extended by staff"),
                        ],
                        max_length=20,
                        verbose_name="change",
                    ),
                ),
                ("at", models.DateTimeField(verbose_name="in effect from")),
                ("recorded_at", models.DateTimeField(verbose_name="recorded at")),
                ("actor", models.CharField(max_length=200, verbose_name="actor")),
                ("reason", models.CharField(blank=True, max_length=200, verbose_name="reason")),
                ("before", models.JSONField(default=dict, verbose_name="before")),
                ("after", models.JSONField(default=dict, verbose_name="after")),
                ("data", models.JSONField(default=dict, verbose_name="data")),
                (
                    "payment",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="tenant_billing.paymenttransaction",
                        verbose_name="payment",
                    ),
                ),
            ],
            options={
                "verbose_name": "subscription event",
                "verbose_name_plural": "subscription events",
                "ordering": ["pk"],
            },
        ),
        migrations.CreateModel(
            name="Usage",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("updated_at", models.DateTimeField(auto_now=True, verbose_name="updated at")),
                (
                    "organization",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        to=settings.TENANT_BILLING_ORGANIZATION_MODEL,
                        verbose_name="organization",
                    ),
                ),
            ],
            options={
                "verbose_name": "usage",
                "verbose_name_plural": "usage",
                "ordering": ["organization"],
            },
        ),
        migrations.CreateModel(
            name="UsageCounter",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("period_start", models.DateTimeField(verbose_name="period start")),
                ("period_end", models.DateTimeField(verbose_name="period end")),
                ("used", models.BigIntegerField(default=0, verbose_name="used")),
                ("held", models.BigIntegerField(default=0, verbose_name="held")),
                ("grace_ends_at", models.DateTimeField(default=None, null=True, verbose_name="grace ends at")),
                ("updated_at", models.DateTimeField(verbose_name="updated at")),
                (
                    "feature",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="tenant_billing.feature",
                        verbose_name="feature",
                    ),
                ),
                (
                    "organization",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        to=settings.TENANT_BILLING_ORGANIZATION_MODEL,
                        verbose_name="organization",
                    ),
                ),
            ],
            options={
                "verbose_name": "usage counter",
                "verbose_name_plural": "usage counters",
                "ordering": ["organization", "feature", "-period_start"],
            },
        ),
        migrations.CreateModel(
            name="UsageEntry",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("change", models.BigIntegerField(verbose_name="change")),
                ("verb", models.CharField(max_length=10, verbose_name="verb")),
                ("actor", models.CharField(blank=True, max_length=150, verbose_name="by")),
                ("subject", models.CharField(blank=True, max_length=200, verbose_name="for")),
                (
                    "at",
                    models.DateTimeField(help_text="Names the period whose count changed.", verbose_name="counted at"),
                ),
                ("created_at", models.DateTimeField(verbose_name="written at")),
                (
                    "feature",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="tenant_billing.feature",
                        verbose_name="feature",
                    ),
                ),
                (
                    "organization",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        to=settings.TENANT_BILLING_ORGANIZATION_MODEL,
                        verbose_name="organization",
                    ),
                ),
            ],
            options={
                "verbose_name": "ledger entry",
                "verbose_name_plural": "ledger entries",
                "ordering": ["-pk"],
            },
        ),
        migrations.CreateModel(
            name="Hold",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("key", models.CharField(max_length=32, verbose_name="reservation")),
                ("amount", models.BigIntegerField(verbose_name="held")),
                ("committed", models.BigIntegerField(default=None, null=True, verbose_name="committed")),
                (
                    "late",
                    models.BooleanField(
                        default=False, help_text="Committed after it had expired.", verbose_name="late"
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("held", "held"),
                            ("committed", "committed"),
                            ("released", "released"),
                            ("expired", "expired"),
                        ],
                        default="held",
                        max_length=10,
                        verbose_name="state",
                    ),
                ),
                (
                    "at",
                    models.DateTimeField(
                        help_text="Names the period that the units are counted in.", verbose_name="held at"
                    ),
                ),
                (
                    "expires_at",
                    models.DateTimeField(help_text="By the clock of the database.", verbose_name="expires at"),
                ),
                ("actor", models.CharField(blank=True, max_length=150, verbose_name="by")),
                ("subject", models.CharField(blank=True, max_length=200, verbose_name="for")),
                ("finished_at", models.DateTimeField(default=None, null=True, verbose_name="finished at")),
                (
                    "feature",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="tenant_billing.feature",
                        verbose_name="feature",
                    ),
                ),
                (
                    "organization",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        to=settings.TENANT_BILLING_ORGANIZATION_MODEL,
                        verbose_name="organization",
                    ),
                ),
            ],
            options={
                "verbose_name": "hold",
                "verbose_name_plural": "holds",
                "ordering": ["-pk"],
                "indexes": [models.Index(fields=["organization", "feature", "state"], name="tb_hold_look")],
                "constraints": [
                    models.UniqueConstraint(fields=("key", "feature"), name="tb_hold_unique"),
                    models.CheckConstraint(condition=models.Q(("amount__gte", 0)), name="tb_hold_not_negative"),
                ],
            },
        ),
        migrations.CreateModel(
            name="IdempotencyKey",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("key", models.CharField(max_length=100, verbose_name="key")),
                ("body", models.JSONField(verbose_name="asked")),
                ("answer", models.JSONField(verbose_name="answered")),
                ("released_at", models.DateTimeField(default=None, null=True, verbose_name="given back at")),
                ("created_at", models.DateTimeField(db_index=True, verbose_name="created at")),
                (
                    "organization",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        to=settings.TENANT_BILLING_ORGANIZATION_MODEL,
                        verbose_name="organization",
                    ),
                ),
            ],
            options={
                "verbose_name": "idempotency key",
                "verbose_name_plural": "idempotency keys",
                "ordering": ["-pk"],
                "constraints": [models.UniqueConstraint(fields=("organization", "key"), name="tb_key_unique")],
            },
        ),
        migrations.CreateModel(
            name="LimitOverride",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "limit_value",
                    models.BigIntegerField(
                        blank=True,
                        help_text="Empty is unlimited, 0 is not included.",
                        null=True,
                        validators=[
                            django.core.validators.MinValueValidator(0),
                            django.core.validators.MaxValueValidator(9007199254740991),
                        ],
                        verbose_name="limit",
                    ),
                ),
                ("reason", models.CharField(max_length=200, verbose_name="reason")),
                ("actor", models.CharField(max_length=150, verbose_name="by")),
                ("starts_at", models.DateTimeField(default=django_tenant_billing.clock.now, verbose_name="from")),
                (
                    "ends_at",
                    models.DateTimeField(blank=True, help_text="Empty for no end.", null=True, verbose_name="until"),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True, verbose_name="created at")),
                (
                    "feature",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="tenant_billing.feature",
                        verbose_name="feature",
                    ),
                ),
                (
                    "organization",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        to=settings.TENANT_BILLING_ORGANIZATION_MODEL,
                        verbose_name="organization",
                    ),
                ),
            ],
            options={
                "verbose_name": "limit override",
                "verbose_name_plural": "limit overrides",
                "ordering": ["-pk"],
                "indexes": [models.Index(fields=["organization", "feature"], name="tb_override_look")],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            ("limit_value", None),
                            models.Q(("limit_value__gte", 0), ("limit_value__lte", 9007199254740991)),
                            _connector="OR",
                        ),
                        name="tb_override_in_range",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("ends_at", None), ("ends_at__gte", models.F("starts_at")), _connector="OR"),
                        name="tb_override_ordered",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("reason", ""), _negated=True), name="tb_override_reason"
                    ),
                ],
            },
        ),
        migrations.AddIndex(
            model_name="paymenttransaction",
            index=models.Index(fields=["organization", "-created_at"], name="tb_payment_by_organization"),
        ),
        migrations.AddConstraint(
            model_name="paymenttransaction",
            constraint=models.UniqueConstraint(
                fields=("gateway", "gateway_reference"), name="tb_payment_gateway_reference"
            ),
        ),
        migrations.AddConstraint(
            model_name="paymenttransaction",
            constraint=models.UniqueConstraint(
                fields=("gateway", "gateway_transaction_id"), name="tb_payment_gateway_txn"
            ),
        ),
        migrations.AddConstraint(
            model_name="paymenttransaction",
            constraint=models.CheckConstraint(
                condition=models.Q(("amount_minor__gt", 0)), name="tb_payment_amount_positive"
            ),
        ),
        migrations.AddConstraint(
            model_name="paymenttransaction",
            constraint=models.CheckConstraint(
                condition=models.Q(("credit_minor__gte", 0)), name="tb_payment_credit_not_negative"
            ),
        ),
        migrations.AddConstraint(
            model_name="paymenttransaction",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("refunded_minor__gte", 0),
                    (
                        "refunded_minor__lte",
                        django.db.models.functions.comparison.Coalesce("received_minor", "amount_minor"),
                    ),
                ),
                name="tb_payment_refunded_in_range",
            ),
        ),
        migrations.AddConstraint(
            model_name="paymenttransaction",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "status__in",
                        [
                            "created",
                            "initiated",
                            "pending",
                            "paid",
                            "review",
                            "failed",
                            "canceled",
                            "expired",
                            "refund_pending",
                            "partially_refunded",
                            "refunded",
                            "dismissed",
                        ],
                    )
                ),
                name="tb_payment_status_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="paymenttransaction",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("paid_at__isnull", False),
                        ("status__in", ["paid", "partially_refunded", "refund_pending", "refunded"]),
                    ),
                    models.Q(
                        models.Q(
                            ("status__in", ["paid", "partially_refunded", "refund_pending", "refunded"]), _negated=True
                        ),
                        ("paid_at__isnull", True),
                    ),
                    _connector="OR",
                ),
                name="tb_payment_paid_at_iff_settled",
            ),
        ),
        migrations.AddConstraint(
            model_name="planlimit",
            constraint=models.UniqueConstraint(fields=("plan", "feature"), name="tb_limit_unique"),
        ),
        migrations.AddConstraint(
            model_name="planlimit",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("limit_value", None),
                    models.Q(("limit_value__gte", 0), ("limit_value__lte", 9007199254740991)),
                    _connector="OR",
                ),
                name="tb_limit_in_range",
            ),
        ),
        migrations.AddConstraint(
            model_name="planlimit",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("trial_limit_value", None),
                    models.Q(
                        ("trial_differs", True),
                        ("trial_limit_value__gte", 0),
                        ("trial_limit_value__lte", 9007199254740991),
                    ),
                    _connector="OR",
                ),
                name="tb_limit_trial_in_range",
            ),
        ),
        migrations.AddConstraint(
            model_name="planprice",
            constraint=models.UniqueConstraint(fields=("plan", "is_default"), name="tb_price_one_default"),
        ),
        migrations.AddConstraint(
            model_name="planprice",
            constraint=models.UniqueConstraint(
                fields=("plan", "currency", "interval", "interval_count"), name="tb_price_unique"
            ),
        ),
        migrations.AddConstraint(
            model_name="planprice",
            constraint=models.CheckConstraint(
                condition=models.Q(("amount_minor__gte", 0)), name="tb_price_not_negative"
            ),
        ),
        migrations.AddConstraint(
            model_name="planprice",
            constraint=models.CheckConstraint(
                condition=models.Q(("interval_count__gte", 1), ("interval_count__lte", 1000)),
                name="tb_price_interval_in_range",
            ),
        ),
        migrations.AddConstraint(
            model_name="planprice",
            constraint=models.CheckConstraint(
                condition=models.Q(("is_default", True), ("is_default", None), _connector="OR"),
                name="tb_price_default_or_null",
            ),
        ),
        migrations.AddConstraint(
            model_name="receipt",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "total_minor",
                        django.db.models.expressions.CombinedExpression(
                            models.F("net_minor"), "+", models.F("vat_minor")
                        ),
                    )
                ),
                name="tb_receipt_adds_up",
            ),
        ),
        migrations.AddConstraint(
            model_name="receipt",
            constraint=models.CheckConstraint(
                condition=models.Q(("number__gte", 1)), name="tb_receipt_numbered_from_one"
            ),
        ),
        migrations.AddConstraint(
            model_name="subscription",
            constraint=models.CheckConstraint(
                condition=models.Q(("period_end", None), ("period_end__gt", models.F("period_start")), _connector="OR"),
                name="tb_subscription_period_ordered",
            ),
        ),
        migrations.AddConstraint(
            model_name="subscription",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("next_period_end", None),
                    models.Q(
                        ("next_period_end__gt", models.F("period_end")),
                        ("next_plan__isnull", False),
                        ("period_end__isnull", False),
                    ),
                    _connector="OR",
                ),
                name="tb_subscription_next_ordered",
            ),
        ),
        migrations.AddConstraint(
            model_name="subscription",
            constraint=models.CheckConstraint(
                condition=models.Q(("next_plan", None), ("period_end__isnull", False), _connector="OR"),
                name="tb_subscription_next_comes",
            ),
        ),
        migrations.AddConstraint(
            model_name="subscription",
            constraint=models.CheckConstraint(
                condition=models.Q(("credit_minor__gte", 0)), name="tb_subscription_credit_not_negative"
            ),
        ),
        migrations.AddConstraint(
            model_name="activation",
            constraint=models.CheckConstraint(
                condition=models.Q(("ends_at__gt", models.F("starts_at"))), name="tb_activation_ordered"
            ),
        ),
        migrations.AddConstraint(
            model_name="activation",
            constraint=models.CheckConstraint(
                condition=models.Q(("credited_minor__gte", 0), ("credited_minor__lte", models.F("value_minor"))),
                name="tb_activation_credited",
            ),
        ),
        migrations.AddConstraint(
            model_name="usagecounter",
            constraint=models.UniqueConstraint(
                fields=("organization", "feature", "period_start"), name="tb_counter_unique"
            ),
        ),
        migrations.AddConstraint(
            model_name="usagecounter",
            constraint=models.CheckConstraint(
                condition=models.Q(("used__gte", 0)), name="tb_counter_used_not_negative"
            ),
        ),
        migrations.AddConstraint(
            model_name="usagecounter",
            constraint=models.CheckConstraint(
                condition=models.Q(("held__gte", 0)), name="tb_counter_held_not_negative"
            ),
        ),
        migrations.AddConstraint(
            model_name="usagecounter",
            constraint=models.CheckConstraint(
                condition=models.Q(("period_end__gt", models.F("period_start"))), name="tb_counter_period_ordered"
            ),
        ),
        migrations.AddIndex(
            model_name="usageentry",
            index=models.Index(fields=["organization", "feature", "at"], name="tb_entry_look"),
        ),
        migrations.RunPython(leave_room, migrations.RunPython.noop),
    ]
