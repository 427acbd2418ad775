SELECT 'column', c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
  pg_get_expr(d.adbin, d.adrelid), a.attidentity, a.attgenerated, a.attcollation,
  col_description(c.oid, a.attnum), a.attacl::text
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
WHERE c.relnamespace = 'public'::regnamespace AND a.attnum > 0 AND NOT a.attisdropped
  AND c.relkind IN ('r', 'p', 'v', 'm')
ORDER BY 2, a.attnum;
SELECT 'relation', c.relname, c.relkind,
  coalesce(c.relacl, acldefault(CASE c.relkind WHEN 'S' THEN 's'::"char" ELSE 'r' END, c.relowner))::text, c.relreplident, c.relrowsecurity,
  obj_description(c.oid, 'pg_class')
FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace ORDER BY 2;
SELECT 'constraint', conrelid::regclass, conname, pg_get_constraintdef(oid), convalidated,
  obj_description(oid, 'pg_constraint')
FROM pg_constraint WHERE connamespace = 'public'::regnamespace ORDER BY 2, 3;
SELECT 'index', indexrelid::regclass, pg_get_indexdef(indexrelid), indisvalid, indisreplident
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
WHERE c.relnamespace = 'public'::regnamespace ORDER BY 2;
SELECT 'trigger', tgrelid::regclass, pg_get_triggerdef(t.oid), tgenabled
FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
WHERE c.relnamespace = 'public'::regnamespace AND NOT tgisinternal ORDER BY 2, 3;
SELECT 'policy', polrelid::regclass, polname, pg_get_expr(polqual, polrelid),
  pg_get_expr(polwithcheck, polrelid) FROM pg_policy ORDER BY 2, 3;
SELECT 'function', proname, proacl::text FROM pg_proc
WHERE pronamespace = 'public'::regnamespace ORDER BY 2;
SELECT 'sequence', c.relname, s.seqtypid::regtype, s.seqmax, s.seqincrement,
  (SELECT refobjid::regclass || '.' || refobjsubid FROM pg_depend
    WHERE objid = c.oid AND deptype IN ('a', 'i') AND refclassid = 'pg_class'::regclass LIMIT 1)
FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid
WHERE c.relnamespace = 'public'::regnamespace ORDER BY 2;
SELECT 'type', typname, (SELECT string_agg(enumlabel, ',' ORDER BY enumsortorder) FROM pg_enum
  WHERE enumtypid = t.oid)
FROM pg_type t WHERE typnamespace = 'public'::regnamespace ORDER BY 2;
SELECT 'schema', nspname, nspacl::text FROM pg_namespace
WHERE nspname NOT LIKE 'pg\_%' ORDER BY 2;
