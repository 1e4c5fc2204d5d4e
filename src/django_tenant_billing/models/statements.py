"""The SQL that decides: one conditional UPDATE, and the SELECT that explains it, over the same fragments.

Written by hand because compiling the same statement through the ORM costs more than the database does, and because
the guard has to stand in the outermost WHERE: there PostgreSQL judges it again after waiting for a rival.

Parameters are named: ``organization``, ``feature``, ``amount``, ``fallback``; ``now``, for which the limit is judged;
``at``, which names the period that is counted in: now, or when units that come back were counted.
"""

# ruff: noqa: S608 - every part is a constant of this file

from __future__ import annotations

from functools import cache

UNLIMITED = 2**63 - 1

# What was bought while its paid period lasts, then what was paid to come next, then grace for the features that are
# kept in it; else the fallback. The same as Subscription.plan_in_force.
_PLAN = """CASE WHEN s.period_end IS NULL OR s.period_end > %(now)s THEN COALESCE(s.plan_id, %(fallback)s)
    WHEN s.next_period_end > %(now)s THEN s.next_plan_id
    WHEN s.grace_ends_at > %(now)s AND {kept} THEN COALESCE(s.next_plan_id, s.plan_id) ELSE %(fallback)s END"""

_KEPT = "(SELECT k.kept_in_grace FROM tenant_billing_feature k WHERE k.slug = %(feature)s)"

PLAN_IN_FORCE = f"""COALESCE((SELECT {_PLAN.format(kept=_KEPT)}
    FROM tenant_billing_subscription s WHERE s.organization_id = %(organization)s), %(fallback)s)"""

ON_TRIAL = """EXISTS (SELECT 1 FROM tenant_billing_subscription t
    WHERE t.organization_id = %(organization)s AND t.trial_ends_at > %(now)s)"""

# The newest of the overrides in force. Its feature is a parameter of the statement, or a column.
OVERRIDE = """SELECT {what} FROM tenant_billing_limitoverride o
    WHERE o.organization_id = %(organization)s AND o.feature_id = {feature}
    AND o.starts_at <= %(now)s AND (o.ends_at IS NULL OR o.ends_at > %(now)s) ORDER BY o.id DESC LIMIT 1"""

# No row must stay NULL, which denies; a NULL in the row is unlimited.
LIMIT_IN_FORCE = f"""COALESCE(({OVERRIDE.format(what=f"COALESCE(o.limit_value, {UNLIMITED})", feature="%(feature)s")}),
    (SELECT COALESCE(
        CASE WHEN l.trial_differs AND {ON_TRIAL} THEN l.trial_limit_value ELSE l.limit_value END, {UNLIMITED})
    FROM tenant_billing_planlimit l WHERE l.feature_id = %(feature)s AND l.plan_id = {PLAN_IN_FORCE}))"""

COUNTER = """organization_id = %(organization)s AND feature_id = %(feature)s
AND period_start <= %(at)s AND period_end > %(at)s"""

ROOM = f"used + held <= {LIMIT_IN_FORCE} - %(amount)s"

# Being within the limit ends the grace time of an earlier excess.
CONSUME = f"""UPDATE tenant_billing_usagecounter
SET used = used + %(amount)s, updated_at = %(now)s, grace_ends_at = NULL WHERE {COUNTER} AND {ROOM}"""

HOLD = f"""UPDATE tenant_billing_usagecounter
SET held = held + %(amount)s, updated_at = %(now)s, grace_ends_at = NULL WHERE {COUNTER} AND {ROOM}"""

GIVE_BACK = f"""UPDATE tenant_billing_usagecounter SET used = used - %(amount)s, updated_at = %(now)s
WHERE {COUNTER} AND used >= %(amount)s"""

# A hold leaves ``held``, and ``amount``, which may be less or more, is used. No guard: what is more was judged before.
CONVERT = f"""UPDATE tenant_billing_usagecounter
SET used = used + %(amount)s, held = held - %(held)s, updated_at = %(now)s WHERE {COUNTER} AND held >= %(held)s"""

# The holds that passed their time, and when the next one will, by the database's own clock.
_HOLDS = """FROM tenant_billing_hold h WHERE h.organization_id = c.organization_id AND h.feature_id = c.feature_id
    AND h.state = 'held' AND h.at >= c.period_start AND h.at < c.period_end AND h.expires_at"""

_PLAN_OF_ROW = _PLAN.format(kept="f.kept_in_grace")

_LOOK = f"""SELECT f.slug, f.kind, f.reset, f.singular, f.plural, {_PLAN_OF_ROW},
    l.id, l.limit_value, l.trial_differs AND s.trial_ends_at > %(now)s, l.trial_limit_value, l.grace_days,
    s.anchor, s.trial_ends_at, o.id, o.limit_value, o.ends_at,
    c.id, c.used, c.held, c.period_start, c.period_end, c.grace_ends_at,
    (SELECT COALESCE(SUM(h.amount), 0) {_HOLDS} <= <now>), (SELECT MIN(h.expires_at) {_HOLDS} > <now>),
    b.plan_id, b.limit_value
FROM tenant_billing_feature f
LEFT JOIN tenant_billing_subscription s ON s.organization_id = %(organization)s
LEFT JOIN tenant_billing_planlimit l ON l.feature_id = f.slug AND l.plan_id = {_PLAN_OF_ROW}
LEFT JOIN tenant_billing_limitoverride o ON o.id = ({OVERRIDE.format(what="o.id", feature="f.slug")})
LEFT JOIN tenant_billing_usagecounter c ON c.organization_id = %(organization)s AND c.feature_id = f.slug
    AND c.period_start <= %(now)s AND c.period_end > %(now)s
LEFT JOIN (tenant_billing_planlimit b JOIN tenant_billing_plan p ON p.code = b.plan_id AND p.is_active)
    ON b.feature_id = f.slug"""

_ORDER = "ORDER BY f.position, f.slug, p.position, p.code"

_NOW = {
    "postgresql": "STATEMENT_TIMESTAMP()",
    "sqlite": "STRFTIME('%%Y-%%m-%%d %%H:%%M:%%f', 'NOW')",
    "mysql": "UTC_TIMESTAMP(6)",
}

LOOK_ALL = {vendor: f"{_LOOK} {_ORDER}".replace("<now>", now) for vendor, now in _NOW.items()}
LOOK_ONE = {
    vendor: f"{_LOOK} WHERE f.slug = %(feature)s {_ORDER}".replace("<now>", now) for vendor, now in _NOW.items()
}

# A new period of a feature that happens, in one statement: the lock keeps a purchase from moving the anchor that
# ``start`` and ``end`` were counted from, and what older rows cover is left to them, so that no two rows overlap.
_OPEN = """INSERT INTO tenant_billing_usagecounter
    (organization_id, feature_id, period_start, period_end, used, held, updated_at)
SELECT s.organization_id, <feature>,
    COALESCE((SELECT MAX(e.period_end) FROM tenant_billing_usagecounter e WHERE e.organization_id = %(organization)s
        AND e.feature_id = %(feature)s AND e.period_end > %(start)s AND e.period_end <= %(now)s), %(start)s),
    COALESCE((SELECT MIN(e.period_start) FROM tenant_billing_usagecounter e WHERE e.organization_id = %(organization)s
        AND e.feature_id = %(feature)s AND e.period_start > %(now)s AND e.period_start < %(end)s), %(end)s),
    0, 0, %(now)s
FROM tenant_billing_subscription s WHERE s.organization_id = %(organization)s AND s.anchor = %(anchor)s
AND NOT EXISTS (SELECT 1 FROM tenant_billing_usagecounter e WHERE e.organization_id = %(organization)s
    AND e.feature_id = %(feature)s AND e.period_start <= %(now)s AND e.period_end > %(now)s) """

# A server that binds the parameters itself wants to be told what an inserted one is.
_TYPED = _OPEN.replace("<feature>", "CAST(%(feature)s AS varchar)")

OPEN = {
    "postgresql": _TYPED + "FOR UPDATE OF s ON CONFLICT DO NOTHING",
    "sqlite": _TYPED + "ON CONFLICT DO NOTHING",
    "mysql": _OPEN.replace("<feature>", "%(feature)s")
    + "FOR UPDATE ON DUPLICATE KEY UPDATE feature_id = VALUES(feature_id)",
}

# By the index of the UPDATEs: two statements that came to one row by different indexes would wait for each other.
_BY_UNIQUE = "tenant_billing_usagecounter FORCE INDEX (tb_counter_unique)"

LOCK = {
    "postgresql": f"SELECT * FROM tenant_billing_usagecounter WHERE {COUNTER} FOR UPDATE",
    "sqlite": f"SELECT * FROM tenant_billing_usagecounter WHERE {COUNTER}",
    "mysql": f"SELECT * FROM {_BY_UNIQUE} WHERE {COUNTER} LIMIT 1 FOR UPDATE",
}


@cache
def for_one_row(update: str, vendor: str) -> str:
    """The same UPDATE of a counter, of which there is one at most, as this database locks that row alone.

    MariaDB goes on to lock the neighbour in the index, another feature's, unless it found its row and is told to stop;
    and in a small table it takes the index of the feature, where the neighbours are other organizations'.
    """
    if vendor != "mysql":
        return update
    return update.replace("tenant_billing_usagecounter", _BY_UNIQUE, 1) + " LIMIT 1"
