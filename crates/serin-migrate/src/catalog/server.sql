SELECT jsonb_build_object(
  'version', current_setting('server_version_num')::int,
  'user', current_user,
  'database', current_database(),
  'schema_exists', EXISTS (SELECT FROM pg_namespace WHERE nspname = $1::text),
  'creates_schemas', has_database_privilege(current_database(), 'CREATE'),
  'creates_tables', coalesce((SELECT has_schema_privilege(oid, 'CREATE')
    FROM pg_namespace WHERE nspname = $1::text), false),
  'schemas', (SELECT jsonb_agg(nspname ORDER BY nspname) FROM pg_namespace),
  'schema_acl', coalesce((
    SELECT jsonb_agg(jsonb_build_object(
      'grantee', CASE WHEN x.grantee <> 0 THEN pg_get_userbyid(x.grantee) END,
      'privilege', x.privilege_type, 'grantable', x.is_grantable))
    FROM pg_namespace n,
      aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) x
    WHERE n.nspname = $1::text), '[]'),
  'default_acl', coalesce((
    SELECT jsonb_agg(DISTINCT jsonb_build_object(
      'grantee', CASE WHEN x.grantee <> 0 THEN pg_get_userbyid(x.grantee) END,
      'privilege', x.privilege_type, 'grantable', x.is_grantable))
    FROM pg_default_acl d LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace,
      aclexplode(d.defaclacl) x
    WHERE d.defaclobjtype = 'r' AND pg_get_userbyid(d.defaclrole) = current_user
      AND (d.defaclnamespace = 0 OR n.nspname = $1::text)), '[]'),
  'relations', coalesce((
    SELECT jsonb_object_agg(c.relname, c.relkind)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = $1::text), '{}'),
  'enums', coalesce((
    SELECT jsonb_object_agg(t.typname, (
      SELECT jsonb_agg(e.enumlabel ORDER BY e.enumsortorder) FROM pg_enum e
      WHERE e.enumtypid = t.oid))
    FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
    WHERE n.nspname = $1::text AND t.typtype = 'e'
      AND EXISTS (SELECT FROM pg_enum e WHERE e.enumtypid = t.oid)), '{}'),
  'types', coalesce((
    SELECT jsonb_agg(t.typname ORDER BY t.typname)
    FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
    WHERE n.nspname = $1::text), '[]'),
  'roles', (SELECT jsonb_agg(rolname ORDER BY rolname) FROM pg_roles),
  'views', coalesce((
    SELECT jsonb_agg(jsonb_build_object(
      'schema', n.nspname, 'name', c.relname,
      'columns', (
        SELECT coalesce(jsonb_agg(a.attname ORDER BY a.attnum), '[]') FROM pg_attribute a
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
      'comment', obj_description(c.oid, 'pg_class'),
      'acl', coalesce((
        SELECT jsonb_agg(jsonb_build_object(
          'grantee', CASE WHEN x.grantee <> 0 THEN pg_get_userbyid(x.grantee) END,
          'privilege', x.privilege_type, 'grantable', x.is_grantable))
        FROM aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) x), '[]'))
      ORDER BY n.nspname, c.relname)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'v' AND starts_with(n.nspname, $1::text || '_')), '[]')
)::text
