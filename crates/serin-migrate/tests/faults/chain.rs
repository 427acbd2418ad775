//! A history of 56 files, one after the other, with clients of the version before and of the one
//! that comes beside each of them. Each is taken back once before it goes through.

use crate::kit::*;
use serin_migrate::State;
use std::path::Path;

/// Name and document of each file, in their order.
fn files() -> Vec<(String, serde_json::Value)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/faults/chain");
    let mut all: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    all.sort();
    let read = |path: &std::path::PathBuf| {
        let text = std::fs::read_to_string(path).unwrap();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        (name, serde_json::from_str(&text).unwrap())
    };
    all.iter().map(read).collect()
}

/// What the table of those who borrow is called in the version of the `at`th file.
fn readers(at: usize) -> &'static str {
    match at {
        ..18 => "members",
        18..52 => "readers",
        _ => "people",
    }
}

/// Somebody who joins, as a client of a version says it.
fn joins(at: usize, who: &str) -> String {
    let mut all = vec![("name", format!("Reader {who}"))];
    all.extend((at < 42).then(|| ("email", format!("{who}@x"))));
    all.extend((at >= 6).then(|| (if at < 52 { "handle" } else { "nick" }, who.to_owned())));
    let mut sql = vec![insert(readers(at), &all)];
    if at >= 40 {
        sql.push(format!("INSERT INTO contacts (reader_id) SELECT max(id) FROM {}", readers(at)));
    }
    sql.join("; ")
}

/// A book that comes.
fn comes(at: usize, which: &str) -> String {
    let (mut title, mut by) = ("title", if at < 9 { "author" } else { "writer" });
    if at >= 45 {
        by = "by";
    }
    if at == 46 {
        (title, by) = (by, title);
    }
    let price = if at < 11 { "12.5" } else { "1250" };
    let all = [
        (title, format!("Book {which}")),
        (by, "Nobody".to_owned()),
        ("price", price.to_owned()),
        ("pages", "70".to_owned()),
    ];
    insert("books", &all)
}

/// The last who joined takes the last book.
fn takes(at: usize) -> String {
    let readers = readers(at);
    let (state, out) = if at >= 36 { (", state", ", 'out'") } else { ("", "") };
    format!(
        "INSERT INTO loans (member_id, book_id{state}) SELECT (SELECT max(id) FROM {readers}), \
         (SELECT max(id) FROM books){out}"
    )
}

fn insert(table: &str, columns: &[(&str, String)]) -> String {
    let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
    let values: Vec<String> = columns.iter().map(|(_, value)| format!("'{value}'")).collect();
    format!("INSERT INTO {table} ({}) VALUES ({})", names.join(", "), values.join(", "))
}

/// What a client of a version does, and how many rows it then sees.
fn does(lab: &Lab, at: usize, view: &str, who: &str) {
    let path = format!("SET search_path = {view}, public");
    let mut all = vec![path, joins(at, who)];
    all.extend((at >= 2).then(|| comes(at, who)));
    all.extend((at >= 3).then(|| takes(at)));
    lab.sql(&all.join("; "));
}

/// Reads all that a version shows.
fn reads(lab: &Lab, view: &str) {
    lab.sql(&format!(
        "SELECT format('SELECT count(t.*) FROM %I.%I t', relnamespace::regnamespace, relname) \
         FROM pg_class WHERE relnamespace = '{view}'::regnamespace \\gexec"
    ));
}

/// All that the tables are, a line each.
const TABLES: &str = "\
    SELECT c.relname || '.' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod) \
      || CASE WHEN a.attnotnull THEN ' not null' ELSE '' END || CASE a.attidentity WHEN 'a' THEN \
      ' always' WHEN 'd' THEN ' by default' ELSE '' END \
      || coalesce(' = ' || pg_get_expr(d.adbin, d.adrelid), '') \
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
    LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum \
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' \
    UNION ALL SELECT c.conrelid::regclass || ' ' || c.conname || ' ' || pg_get_constraintdef(c.oid) \
    FROM pg_constraint c WHERE c.connamespace = 'public'::regnamespace AND c.contype IN ('p', 'u', 'f', 'c') \
    UNION ALL SELECT replace(pg_get_indexdef(x.indexrelid), ' public.', ' ') FROM pg_index x \
    JOIN pg_class i ON i.oid = x.indexrelid WHERE i.relnamespace = 'public'::regnamespace \
    AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conindid = x.indexrelid AND c.contype IN ('p', 'u')) \
    ORDER BY 1";

#[test]
fn a_long_history_goes_through_file_by_file() {
    let Some(lab) = Lab::new("SELECT 1") else { return };
    lab.sql("CREATE ROLE chain_reporter");
    let (runner, mut before) = (lab.runner(), None::<String>);
    let files = files();
    assert_eq!(files.len(), 56);
    for (number, (name, document)) in files.iter().enumerate() {
        let at = number + 1;
        let tables = lab.sql(TABLES);
        let plan = lab.planned(name, document);
        let view = plan.new_view.as_str().to_owned();
        let start = || {
            let status =
                block(runner.start(&plan)).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(status.state, State::Dual, "{name}");
        };
        // Not each: it is the same way for all of a kind.
        if at.is_multiple_of(3) {
            start();
            does(&lab, at, &view, &format!("b{at}"));
            lab.revert();
            assert_eq!(lab.sql(TABLES), tables, "the way back of {name}");
        }
        start();
        if let Some(before) = &before {
            does(&lab, at - 1, before, &format!("o{at}"));
            reads(&lab, before);
        }
        does(&lab, at, &view, &format!("n{at}"));
        reads(&lab, &view);
        lab.contract();
        reads(&lab, &view);
        before = Some(view);
    }
    lab.sql("UPDATE serin.migration SET ended_at = ended_at - interval '8 days'");
    block(runner.clean()).unwrap();
    assert_eq!(lab.sql(TABLES).lines().collect::<Vec<_>>(), LAST.lines().collect::<Vec<_>>());
    let rows = "SELECT (SELECT count(*) FROM people), (SELECT count(*) FROM books), (SELECT count(*) \
        FROM loans), (SELECT sum(price) FROM books), (SELECT count(DISTINCT token) FROM people)";
    // 56 new ones, 55 old ones and 18 of tries that were taken back; fewer where there was no table
    // yet.
    assert_eq!(lab.sql(rows), "129|127|125|158750|129");
    let mails = "SELECT count(*), count(mail) FROM contacts c JOIN people p ON p.id = c.reader_id";
    assert_eq!(lab.sql(mails), "129|95");
}

/// What the tables are in the end, written by hand.
const LAST: &str = "\
CREATE INDEX by_isbn ON books USING hash (isbn)
CREATE INDEX by_nick ON people USING btree (nick COLLATE \"C\" text_pattern_ops, name NULLS FIRST) WITH (fillfactor='70')
CREATE INDEX late_loans ON loans USING btree (out_on) WHERE (back_on IS NULL)
CREATE UNIQUE INDEX open_loans_once ON loans USING btree (book_id DESC NULLS LAST, member_id) WHERE (back_on IS NULL)
book_tags book_tags_key PRIMARY KEY (book, tag)
book_tags tag_of_book FOREIGN KEY (tag) REFERENCES tags(name) ON UPDATE CASCADE
book_tags tagged_book FOREIGN KEY (book) REFERENCES books(id) ON DELETE CASCADE
book_tags.at timestamp with time zone not null = now()
book_tags.book integer not null
book_tags.tag text not null
books books_pkey PRIMARY KEY (id)
books pages_positive CHECK ((pages > 0))
books.by text not null
books.id integer not null by default
books.isbn bigint
books.letter text
books.pages smallint not null = 10
books.price bigint not null = 0
books.title text not null
contacts contacts_pkey PRIMARY KEY (reader_id)
contacts.mail text
contacts.phone text
contacts.reader_id bigint not null
loans back_after_out CHECK ((back_on >= out_on))
loans fine_is_none_or_more CHECK ((fine >= (0)::numeric))
loans loans_pkey PRIMARY KEY (id)
loans of_a_book FOREIGN KEY (book_id) REFERENCES books(id) ON DELETE SET NULL
loans of_member FOREIGN KEY (member_id) REFERENCES people(id) ON DELETE CASCADE
loans.back_on date
loans.book_id integer
loans.fine numeric(6,2) not null = 0
loans.id bigint not null always
loans.member_id bigint not null
loans.out_on date not null = CURRENT_DATE
loans.state loan_state not null
people has_name CHECK ((length((name)::text) > 0))
people members_pkey PRIMARY KEY (id)
people one_handle UNIQUE (nick)
people people_token_key UNIQUE (token)
people.id bigint not null always
people.name character varying(80) not null
people.nick text not null
people.token uuid not null = gen_random_uuid()
tags tags_key PRIMARY KEY (name)
tags.about text
tags.name text not null
writers writers_name_key UNIQUE (name)
writers writers_pkey PRIMARY KEY (id)
writers.id integer not null = nextval('writers_id_seq'::regclass)
writers.name text not null";
