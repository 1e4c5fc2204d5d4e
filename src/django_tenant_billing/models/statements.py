"""The SQL that decides: one conditional UPDATE, and the SELECT that explains it, over the same two fragments.

Written by hand because compiling the same statement through the ORM costs more than the database does, and because
the guard has to stand in the outermost WHERE: there PostgreSQL judges it again after waiting for a rival.
"""

from __future__ import annotations

UNLIMITED = 2**63 - 1

# What was bought while its paid period lasts, else the fallback. Parameters: organization, now, fallback.
PLAN_IN_FORCE = """COALESCE((
    SELECT s.plan_id FROM tenant_billing_subscription s
    WHERE s.organization_id = %s AND (s.period_end IS NULL OR s.period_end > %s)), %s)"""

# No row must stay NULL, which denies; a NULL in the row is unlimited. Parameters: feature, then of PLAN_IN_FORCE.
LIMIT_IN_FORCE = f"""(
    SELECT COALESCE(l.limit_value, {UNLIMITED}) FROM tenant_billing_planlimit l
    WHERE l.feature_id = %s AND l.plan_id = {PLAN_IN_FORCE})"""  # noqa: S608 - constants only

# Parameters: amount, now, organization, feature, now, now, then of LIMIT_IN_FORCE, amount.
CONSUME = f"""UPDATE tenant_billing_usagecounter SET used = used + %s, updated_at = %s
WHERE organization_id = %s AND feature_id = %s AND period_start <= %s AND period_end > %s
AND used + held <= {LIMIT_IN_FORCE} - %s"""  # noqa: S608 - constants only

# Parameters: amount, now, organization, feature, at, at, amount.
GIVE_BACK = """UPDATE tenant_billing_usagecounter SET used = used - %s, updated_at = %s
WHERE organization_id = %s AND feature_id = %s AND period_start <= %s AND period_end > %s AND used >= %s"""

# Parameters: of PLAN_IN_FORCE twice, organization, organization, now, now.
LOOK = f"""SELECT f.slug, f.kind, f.singular, f.plural, {PLAN_IN_FORCE}, l.id, l.limit_value,
    c.id, c.used, c.held, c.period_start, c.period_end, s.anchor,
    EXISTS (SELECT 1 FROM tenant_billing_planlimit b JOIN tenant_billing_plan p ON p.code = b.plan_id
            WHERE b.feature_id = f.slug AND p.is_active
            AND COALESCE(b.limit_value, {UNLIMITED})
                > CASE WHEN l.id IS NULL THEN 0 ELSE COALESCE(l.limit_value, {UNLIMITED}) END)
FROM tenant_billing_feature f
LEFT JOIN tenant_billing_planlimit l ON l.feature_id = f.slug AND l.plan_id = {PLAN_IN_FORCE}
LEFT JOIN tenant_billing_subscription s ON s.organization_id = %s
LEFT JOIN tenant_billing_usagecounter c
    ON c.organization_id = %s AND c.feature_id = f.slug AND c.period_start <= %s AND c.period_end > %s"""  # noqa: S608
LOOK_ALL = f"{LOOK} ORDER BY f.position, f.slug"
LOOK_ONE = f"{LOOK} WHERE f.slug = %s"
