SELECT coalesce(jsonb_agg(jsonb_build_object(
  'name', c.relname,
  'partitioned', c.relkind = 'p',
  'is_partition', c.relispartition,
  'parents', coalesce((
    SELECT jsonb_agg(p.relname ORDER BY i.inhseqno)
    FROM pg_inherits i JOIN pg_class p ON p.oid = i.inhparent
    WHERE i.inhrelid = c.oid), '[]'),
  'leaves', coalesce((
    WITH RECURSIVE below AS (
      SELECT i.inhrelid AS oid FROM pg_inherits i WHERE i.inhparent = c.oid
      UNION
      SELECT i.inhrelid FROM pg_inherits i JOIN below b ON i.inhparent = b.oid)
    SELECT jsonb_agg(jsonb_build_object('schema', ln.nspname, 'name', l.relname)
      ORDER BY ln.nspname, l.relname)
    FROM below b JOIN pg_class l ON l.oid = b.oid
    JOIN pg_namespace ln ON ln.oid = l.relnamespace
    WHERE l.relkind = 'r'), '[]'),
  'partition_columns', coalesce((
    SELECT jsonb_agg(DISTINCT a.attname)
    FROM pg_depend d JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.objsubid
    WHERE c.relkind = 'p' AND d.classid = 'pg_class'::regclass AND d.objid = c.oid
      AND d.objsubid > 0 AND d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid
      AND d.refobjsubid = 0 AND d.deptype = 'i'), '[]'),
  'owner', pg_get_userbyid(c.relowner),
  'owned', pg_has_role(current_user, c.relowner, 'USAGE'),
  'row_security', c.relrowsecurity,
  'replica_identity', c.relreplident,
  'subscribed', EXISTS (SELECT FROM pg_subscription_rel s WHERE s.srrelid = c.oid),
  'comment', obj_description(c.oid, 'pg_class'),
  'acl', coalesce((
    SELECT jsonb_agg(jsonb_build_object(
      'grantee', CASE WHEN x.grantee <> 0 THEN pg_get_userbyid(x.grantee) END,
      'privilege', x.privilege_type, 'grantable', x.is_grantable))
    FROM aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) x), '[]'),
  'rows', greatest(c.reltuples, 0)::bigint,
  'attributes', c.relnatts,
  'bytes', c.relpages::bigint * current_setting('block_size')::bigint,
  'columns', coalesce((
    SELECT jsonb_agg(jsonb_build_object(
      'name', a.attname,
      'data_type', format_type(a.atttypid, a.atttypmod),
      'not_null', a.attnotnull,
      'default', CASE WHEN a.attgenerated = '' THEN pg_get_expr(d.adbin, 0) END,
      'expression', CASE WHEN a.attgenerated <> '' THEN pg_get_expr(d.adbin, d.adrelid) END,
      'identity', a.attidentity,
      'collation', CASE WHEN a.attcollation <> t.typcollation
        THEN (SELECT format('%I.%I', cn.nspname, co.collname) FROM pg_collation co
          JOIN pg_namespace cn ON cn.oid = co.collnamespace WHERE co.oid = a.attcollation) END,
      'comment', col_description(c.oid, a.attnum),
      'acl', coalesce((
        SELECT jsonb_agg(jsonb_build_object(
          'grantee', CASE WHEN x.grantee <> 0 THEN pg_get_userbyid(x.grantee) END,
          'privilege', x.privilege_type, 'grantable', x.is_grantable))
        FROM aclexplode(a.attacl) x), '[]'),
      'sequence', (
        SELECT jsonb_build_object(
          'schema', sn.nspname, 'name', sc.relname,
          'data_type', format_type(s.seqtypid, NULL),
          'start', s.seqstart, 'increment', s.seqincrement, 'max', s.seqmax, 'min', s.seqmin,
          'cache', s.seqcache, 'cycle', s.seqcycle,
          'acl', coalesce((
            SELECT jsonb_agg(jsonb_build_object(
              'grantee', CASE WHEN x.grantee <> 0 THEN pg_get_userbyid(x.grantee) END,
              'privilege', x.privilege_type, 'grantable', x.is_grantable))
            FROM aclexplode(coalesce(sc.relacl, acldefault('s', sc.relowner))) x), '[]'))
        FROM pg_depend dep JOIN pg_sequence s ON s.seqrelid = dep.objid
        JOIN pg_class sc ON sc.oid = s.seqrelid JOIN pg_namespace sn ON sn.oid = sc.relnamespace
        WHERE dep.classid = 'pg_class'::regclass AND dep.refclassid = 'pg_class'::regclass
          AND dep.refobjid = c.oid AND dep.refobjsubid = a.attnum AND dep.deptype IN ('a', 'i')
        ORDER BY sc.oid LIMIT 1),
      'inherited', NOT a.attislocal,
      'reads', coalesce((
        SELECT jsonb_agg(DISTINCT r.attname)
        FROM pg_depend dep JOIN pg_attribute r ON r.attrelid = c.oid AND r.attnum = dep.refobjsubid
        WHERE a.attgenerated <> '' AND dep.refclassid = 'pg_class'::regclass
          AND dep.refobjid = c.oid AND dep.refobjsubid > 0 AND dep.refobjsubid <> a.attnum
          AND (dep.classid = 'pg_attrdef'::regclass AND dep.objid = d.oid
            OR dep.classid = 'pg_class'::regclass AND dep.objid = c.oid
              AND dep.objsubid = a.attnum)), '[]')
      ) ORDER BY a.attnum)
    FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
    LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped), '[]'),
  'constraints', coalesce((
    SELECT jsonb_agg(jsonb_build_object(
      'name', con.conname,
      'kind', con.contype,
      'columns', coalesce((
        SELECT jsonb_agg(a.attname ORDER BY k.n)
        FROM unnest(con.conkey) WITH ORDINALITY k(num, n)
        JOIN pg_attribute a ON a.attrelid = con.conrelid AND a.attnum = k.num), '[]'),
      'definition', pg_get_constraintdef(con.oid),
      'condition', pg_get_expr(con.conbin, con.conrelid),
      'validated', con.convalidated,
      'deferrable', con.condeferrable,
      'deferred', con.condeferred,
      'no_inherit', con.connoinherit AND con.contype = 'c',
      'inherited', con.coninhcount > 0,
      'index', CASE WHEN con.contype IN ('p', 'u', 'x') THEN ic.relname END,
      'references', CASE WHEN con.contype = 'f' THEN jsonb_build_object(
        'schema', fn.nspname, 'table', fc.relname,
        'columns', (
          SELECT jsonb_agg(a.attname ORDER BY k.n)
          FROM unnest(con.confkey) WITH ORDINALITY k(num, n)
          JOIN pg_attribute a ON a.attrelid = con.confrelid AND a.attnum = k.num),
        'match_type', con.confmatchtype, 'on_update', con.confupdtype,
        'on_delete', con.confdeltype,
        'on_delete_set', coalesce((
          SELECT jsonb_agg(a.attname ORDER BY a.attnum)
          FROM jsonb_array_elements_text(
            nullif(to_jsonb(con) -> 'confdelsetcols', 'null'::jsonb)) k(num)
          JOIN pg_attribute a ON a.attrelid = con.conrelid AND a.attnum = k.num::int), '[]')
        ) END,
      'comment', obj_description(con.oid, 'pg_constraint')
      ) ORDER BY con.conname)
    FROM pg_constraint con
    LEFT JOIN pg_class ic ON ic.oid = con.conindid
    LEFT JOIN pg_class fc ON fc.oid = con.confrelid
    LEFT JOIN pg_namespace fn ON fn.oid = fc.relnamespace
    WHERE con.conrelid = c.oid AND con.contype IN ('c', 'f', 'p', 'u', 'x')
      AND (con.conparentid = 0 OR con.contype IN ('p', 'u'))), '[]'),
  'indexes', coalesce((
    SELECT jsonb_agg(jsonb_build_object(
      'name', ic.relname,
      'unique', i.indisunique,
      'valid', i.indisvalid,
      'immediate', i.indimmediate,
      'constraint', (SELECT con.conname FROM pg_constraint con
        WHERE con.conindid = i.indexrelid AND con.conrelid = c.oid
          AND con.contype IN ('p', 'u', 'x') LIMIT 1),
      'keys', (
        SELECT jsonb_agg(a.attname ORDER BY k.n)
        FROM unnest(i.indkey::int2[]) WITH ORDINALITY k(num, n)
        LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.num AND k.num > 0
        WHERE k.n <= i.indnkeyatts),
      'uses', coalesce((
        SELECT jsonb_agg(DISTINCT a.attname)
        FROM pg_attribute a
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND (a.attnum = ANY (i.indkey::int2[])
          OR EXISTS (SELECT FROM pg_depend dep
            WHERE dep.classid = 'pg_class'::regclass AND dep.objid = i.indexrelid
              AND dep.refclassid = 'pg_class'::regclass AND dep.refobjid = c.oid
              AND dep.refobjsubid = a.attnum))), '[]'),
      'partial', i.indpred IS NOT NULL,
      'tail', substr(pg_get_indexdef(i.indexrelid), length(format('CREATE %sINDEX %I ON %s%I.%I',
        CASE WHEN i.indisunique THEN 'UNIQUE ' ELSE '' END, ic.relname,
        CASE WHEN ic.relkind = 'I' THEN 'ONLY ' ELSE '' END, n.nspname, c.relname)) + 1),
      'inherited', ic.relispartition,
      'replica_identity', i.indisreplident,
      'comment', obj_description(i.indexrelid, 'pg_class')
      ) ORDER BY ic.relname)
    FROM pg_index i JOIN pg_class ic ON ic.oid = i.indexrelid
    WHERE i.indrelid = c.oid), '[]'),
  'triggers', coalesce((
    SELECT jsonb_agg(jsonb_build_object(
      'name', t.tgname,
      'definition', pg_get_triggerdef(t.oid),
      'before_row', (t.tgtype & 3) = 3,
      'enabled', t.tgenabled,
      'columns', coalesce((
        SELECT jsonb_agg(DISTINCT a.attname)
        FROM pg_depend dep JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = dep.refobjsubid
        WHERE dep.classid = 'pg_trigger'::regclass AND dep.objid = t.oid
          AND dep.refclassid = 'pg_class'::regclass AND dep.refobjid = c.oid
          AND dep.refobjsubid > 0), '[]')
      ) ORDER BY t.tgname)
    FROM pg_trigger t
    WHERE t.tgrelid = c.oid AND NOT t.tgisinternal AND t.tgparentid = 0
      AND t.tgname NOT LIKE 'zzz\_serin\_%'), '[]'),
  'policies', coalesce((
    SELECT jsonb_agg(jsonb_build_object(
      'name', p.polname,
      'using', pg_get_expr(p.polqual, p.polrelid),
      'check', pg_get_expr(p.polwithcheck, p.polrelid),
      'columns', coalesce((
        SELECT jsonb_agg(DISTINCT a.attname)
        FROM pg_depend dep JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = dep.refobjsubid
        WHERE dep.classid = 'pg_policy'::regclass AND dep.objid = p.oid
          AND dep.refclassid = 'pg_class'::regclass AND dep.refobjid = c.oid
          AND dep.refobjsubid > 0), '[]')
      ) ORDER BY p.polname)
    FROM pg_policy p WHERE p.polrelid = c.oid), '[]'),
  'dependents', coalesce((
    SELECT jsonb_agg(jsonb_build_object(
      'schema', v.schema, 'name', v.name, 'kind', v.kind, 'columns', v.columns)
      ORDER BY v.schema, v.name)
    FROM (
      SELECT vn.nspname AS schema, vc.relname AS name, vc.relkind AS kind,
        coalesce(jsonb_agg(DISTINCT a.attname) FILTER (WHERE a.attname IS NOT NULL), '[]')
          AS columns
      FROM pg_depend dep JOIN pg_rewrite r ON r.oid = dep.objid
      JOIN pg_class vc ON vc.oid = r.ev_class JOIN pg_namespace vn ON vn.oid = vc.relnamespace
      LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = dep.refobjsubid
        AND dep.refobjsubid > 0
      WHERE dep.classid = 'pg_rewrite'::regclass AND dep.refclassid = 'pg_class'::regclass
        AND dep.refobjid = c.oid AND vc.oid <> c.oid
      GROUP BY 1, 2, 3) v), '[]'),
  'statistics', coalesce((
    SELECT jsonb_agg(jsonb_build_object(
      'name', s.stxname, 'using', pg_get_statisticsobjdef(s.oid), 'check', NULL,
      'columns', coalesce((
        SELECT jsonb_agg(a.attname) FROM pg_attribute a
        WHERE a.attrelid = c.oid AND a.attnum = ANY (s.stxkeys::int2[])), '[]')
      ) ORDER BY s.stxname)
    FROM pg_statistic_ext s WHERE s.stxrelid = c.oid), '[]'),
  'referenced', coalesce((
    SELECT jsonb_agg(jsonb_build_object(
      'table', format('%I.%I', rn.nspname, rc.relname), 'name', con.conname,
      'columns', (
        SELECT jsonb_agg(a.attname) FROM pg_attribute a
        WHERE a.attrelid = c.oid AND a.attnum = ANY (con.confkey))))
    FROM pg_constraint con JOIN pg_class rc ON rc.oid = con.conrelid
    JOIN pg_namespace rn ON rn.oid = rc.relnamespace
    WHERE con.confrelid = c.oid AND con.contype = 'f' AND con.conparentid = 0
      AND rn.oid <> n.oid), '[]')
  ) ORDER BY c.relname), '[]')::text
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = $1::text AND c.relkind IN ('r', 'p')
