WITH rule AS (
  SELECT r.oid, r.ev_action::text AS tree FROM pg_rewrite r
  WHERE r.ev_class = 'pg_temp._serin_view'::regclass)
SELECT
  coalesce((
    SELECT array_agg(DISTINCT a.attname::text)
    FROM rule JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = rule.oid
    JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
    WHERE d.refclassid = 'pg_class'::regclass AND a.attnum > 0
      AND d.refobjid = 'pg_temp._serin_scratch'::regclass), '{}'),
  EXISTS (
    SELECT FROM rule, regexp_matches(rule.tree, ':(?:funcid|opfuncid) (\d+)', 'g') AS found(ids)
    JOIN pg_proc p ON p.oid = found.ids[1]::oid
    WHERE p.provolatile = 'v'),
  EXISTS (
    SELECT FROM rule, regexp_matches(rule.tree, ':(?:funcid|opfuncid) (\d+)', 'g') AS found(ids)
    JOIN pg_proc p ON p.oid = found.ids[1]::oid
    WHERE p.provolatile = 'v' OR p.oid = 'pg_catalog.now()'::regprocedure)
  OR EXISTS (SELECT FROM rule WHERE rule.tree LIKE '%{SQLVALUEFUNCTION%'),
  EXISTS (
    SELECT FROM rule JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = rule.oid
    WHERE d.refclassid = 'pg_class'::regclass
      -- A sequence is no table: its numbers are worked out once.
      AND NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = d.refobjid AND c.relkind = 'S')
      AND d.refobjid NOT IN ('pg_temp._serin_scratch'::regclass, 'pg_temp._serin_view'::regclass)),
  EXISTS (
    SELECT FROM rule JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = rule.oid
    WHERE d.deptype = 'n'
      AND (d.refclassid <> 'pg_class'::regclass OR d.refobjid NOT IN
        ('pg_temp._serin_scratch'::regclass, 'pg_temp._serin_view'::regclass))),
  (SELECT count(*) FROM pg_attribute a
    WHERE a.attrelid = 'pg_temp._serin_view'::regclass AND a.attnum > 0)
