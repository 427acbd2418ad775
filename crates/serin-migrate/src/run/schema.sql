CREATE SCHEMA IF NOT EXISTS serin;
-- The trigger counts writes of old clients in a sequence here, whoever they are. Tables stay
-- closed to all but the owner.
GRANT USAGE ON SCHEMA serin TO PUBLIC;

CREATE TABLE IF NOT EXISTS serin.about (version integer NOT NULL);

CREATE TABLE IF NOT EXISTS serin.lease (
  schema text PRIMARY KEY,
  epoch bigint NOT NULL,
  holder text NOT NULL
);

-- Apart from the lease, whose row every step locks.
CREATE TABLE IF NOT EXISTS serin.pulse (
  schema text PRIMARY KEY,
  epoch bigint NOT NULL,
  seen_at timestamptz NOT NULL
);

CREATE TABLE IF NOT EXISTS serin.migration (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  schema text NOT NULL,
  name text NOT NULL,
  old_view text,
  new_view text NOT NULL,
  state text NOT NULL,
  plan jsonb NOT NULL,
  who text NOT NULL,
  started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  dual_at timestamptz,
  swapped_at timestamptz,
  ended_at timestamptz,
  shape text,
  counts jsonb NOT NULL DEFAULT '{}',
  paused boolean NOT NULL DEFAULT false,
  duty double precision,
  waiting text,
  error text,
  old_writes bigint NOT NULL DEFAULT 0,
  old_written_at timestamptz,
  brown_at timestamptz,
  brown text[]
);
CREATE UNIQUE INDEX IF NOT EXISTS one_is_open ON serin.migration (schema) WHERE ended_at IS NULL;

CREATE TABLE IF NOT EXISTS serin.step (
  migration bigint NOT NULL REFERENCES serin.migration,
  part text NOT NULL,
  seq integer NOT NULL,
  title text NOT NULL,
  sql_sha256 text NOT NULL,
  state text NOT NULL,
  who text NOT NULL,
  epoch bigint NOT NULL,
  started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  finished_at timestamptz,
  lock_waits integer NOT NULL DEFAULT 0,
  PRIMARY KEY (migration, part, seq)
);

CREATE TABLE IF NOT EXISTS serin.progress (
  migration bigint NOT NULL REFERENCES serin.migration,
  sync integer NOT NULL,
  leaf text NOT NULL,
  cursor text[],
  high text[],
  rows_done bigint NOT NULL DEFAULT 0,
  rows_total bigint NOT NULL,
  rows_changed bigint NOT NULL DEFAULT 0,
  batches bigint NOT NULL DEFAULT 0,
  batch_rows integer NOT NULL DEFAULT 0,
  rate double precision NOT NULL DEFAULT 0,
  finished boolean NOT NULL DEFAULT false,
  started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (migration, sync, leaf)
);

CREATE TABLE IF NOT EXISTS serin.irreversible (
  migration bigint NOT NULL REFERENCES serin.migration,
  trigger text NOT NULL,
  key jsonb NOT NULL,
  target text NOT NULL,
  inputs jsonb NOT NULL,
  said text NOT NULL,
  at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (migration, trigger, key, target)
);

CREATE TABLE IF NOT EXISTS serin.salvage (
  migration bigint NOT NULL REFERENCES serin.migration,
  sync integer NOT NULL,
  table_name text NOT NULL,
  columns text NOT NULL,
  rows_kept bigint NOT NULL,
  restored_at timestamptz,
  PRIMARY KEY (migration, sync)
);

CREATE TABLE IF NOT EXISTS serin.deed (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  migration bigint NOT NULL REFERENCES serin.migration,
  at timestamptz NOT NULL DEFAULT clock_timestamp(),
  who text NOT NULL,
  what text NOT NULL,
  detail text NOT NULL
);

-- Every step begins with this: whoever was taken over from does nothing more.
CREATE OR REPLACE FUNCTION serin.fence(of_schema text, mine bigint) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
  PERFORM FROM serin.lease WHERE schema = of_schema AND epoch = mine FOR SHARE;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'another runner took over' USING ERRCODE = 'SR001';
  END IF;
END $$;

-- What the tables look like, a line for each thing, to find changes made by others.
CREATE OR REPLACE FUNCTION serin.shape(of_schema text, tables text[], passed text[]) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog AS $$
  WITH t AS (
    SELECT c.oid, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = of_schema AND c.relname = ANY (tables) AND c.relkind IN ('r', 'p')
  ), line AS (
    SELECT format('column %s.%s %s%s%s', t.relname, a.attname,
        format_type(a.atttypid, a.atttypmod), CASE WHEN a.attnotnull THEN ' not null' END,
        -- Of a default no column is asked for, which takes long where there are many.
        ' default ' || CASE WHEN a.attgenerated = '' THEN pg_get_expr(d.adbin, 0)
          ELSE pg_get_expr(d.adbin, d.adrelid) END) AS text
      FROM t JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
      LEFT JOIN pg_attrdef d ON d.adrelid = t.oid AND d.adnum = a.attnum
    UNION ALL
    SELECT format('constraint %s of %s %s%s', c.conname, t.relname, pg_get_constraintdef(c.oid),
        CASE WHEN c.convalidated THEN ' valid' END)
      FROM t JOIN pg_constraint c ON c.conrelid = t.oid WHERE c.contype <> 't'
    UNION ALL
    SELECT format('index %s of %s %s', i.relname, t.relname, pg_get_indexdef(x.indexrelid))
      FROM t JOIN pg_index x ON x.indrelid = t.oid JOIN pg_class i ON i.oid = x.indexrelid
      WHERE i.relname <> ALL (passed)
    UNION ALL
    SELECT format('trigger %s of %s %s %s', g.tgname, t.relname, pg_get_triggerdef(g.oid),
        g.tgenabled)
      FROM t JOIN pg_trigger g ON g.tgrelid = t.oid WHERE NOT g.tgisinternal
  )
  SELECT coalesce(string_agg(text, E'\n' ORDER BY text COLLATE "C"), '') FROM line
$$;

-- Called by triggers as whoever writes; keeps the last value of each row and column, and not more
-- than a page of it.
CREATE OR REPLACE FUNCTION serin.quarantine(by_trigger text, of_key jsonb, of_target text,
  of_inputs jsonb, because text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  INSERT INTO serin.irreversible AS known (migration, trigger, key, target, inputs, said)
  SELECT m.id, by_trigger, of_key, of_target,
    CASE WHEN length(of_inputs::text) > 8000 THEN '{"too": "long"}'::jsonb ELSE of_inputs END,
    left(because, 500)
  FROM serin.migration m WHERE m.ended_at IS NULL
    AND m.plan -> 'syncs' @> jsonb_build_array(jsonb_build_object('trigger', by_trigger))
  ON CONFLICT (migration, trigger, key, target)
  DO UPDATE SET inputs = excluded.inputs, said = excluded.said, at = excluded.at;
END $$;

-- A step is under way. One that was done stays done.
CREATE OR REPLACE FUNCTION serin.begun(of_migration bigint, of_part text, at integer, about text,
  hash text, by_whom text, mine bigint) RETURNS void
LANGUAGE sql SET search_path = pg_catalog AS $$
  INSERT INTO serin.step AS known (migration, part, seq, title, sql_sha256, state, who, epoch)
  VALUES (of_migration, of_part, at, about, hash, 'begun', by_whom, mine)
  ON CONFLICT (migration, part, seq) DO UPDATE SET who = excluded.who, epoch = excluded.epoch
  WHERE known.state = 'begun'
$$;

DELETE FROM serin.about;
INSERT INTO serin.about VALUES (1);
