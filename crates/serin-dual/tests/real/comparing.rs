//! Tables that differ in known rows.

use crate::two;
use serin_dual::compare::{
    Difference, Error, Hash, Kind, Limits, Progress, Report, Request, compare, connect,
};
use std::collections::BTreeSet;
use std::time::Duration;

/// As fast as it goes; differences are looked at again at once.
fn hasty() -> Limits {
    Limits { duty: 1.0, again: Duration::ZERO, ..Limits::default() }
}

struct Two {
    cluster: &'static serin_postgres::Cluster,
    from: String,
    to: String,
}

impl Two {
    fn make() -> Option<Self> {
        two().map(|(cluster, from, to)| Self { cluster, from, to })
    }

    fn both(&self, sql: &str) {
        self.from(sql);
        self.to(sql);
    }

    fn from(&self, sql: &str) {
        self.cluster.sql(&self.from, sql).unwrap();
    }

    fn to(&self, sql: &str) {
        self.cluster.sql(&self.to, sql).unwrap();
    }

    async fn try_compare(&self, request: &Request) -> Result<Report, Error> {
        self.watched(request, &mut |_| ()).await
    }

    async fn watched(
        &self,
        request: &Request,
        progress: &mut (dyn FnMut(&Progress) + Send),
    ) -> Result<Report, Error> {
        let from = connect(&self.cluster.url(&self.from), "from").await?;
        let to = connect(&self.cluster.url(&self.to), "to").await?;
        compare(&from, &to, request, progress).await
    }

    async fn compare(&self, request: &Request) -> Report {
        self.try_compare(request).await.unwrap()
    }
}

fn request(table: &str) -> Request {
    Request { limits: hasty(), ..Request::new(table) }
}

fn ids(report: &Report, kind: Kind) -> BTreeSet<i64> {
    let of = report.differences.iter().filter(|difference| difference.kind == kind);
    of.map(|difference| difference.key["id"].parse().unwrap()).collect()
}

const ORDERS: &str = "\
CREATE TABLE orders (id bigint PRIMARY KEY, who text, cents int NOT NULL, at timestamptz NOT NULL);
INSERT INTO orders SELECT i, 'customer ' || i % 977, i * 7 % 10007, timestamptz '2024-01-01' + i * interval '1 second'
FROM generate_series(1, 200000) AS i;
ANALYZE orders;";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn finds_exactly_the_rows_that_differ_among_200_000() {
    let Some(two) = Two::make() else { return };
    two.both(ORDERS);
    let mut random = fastrand::Rng::with_seed(7);
    let mut draw = |count: usize| -> BTreeSet<i64> {
        std::iter::repeat_with(|| random.i64(1..=200_000)).take(count).collect()
    };
    let (missing, different) = (draw(37), draw(41));
    let different: BTreeSet<i64> = different.difference(&missing).copied().collect();
    let extra: BTreeSet<i64> = [-5, 0, 200_001, 200_002, 900_000].into();
    let list = |ids: &BTreeSet<i64>| ids.iter().map(i64::to_string).collect::<Vec<_>>().join(", ");
    two.to(&format!("DELETE FROM orders WHERE id IN ({})", list(&missing)));
    two.to(&format!("UPDATE orders SET cents = cents + 1 WHERE id IN ({})", list(&different)));
    two.to(&format!(
        "INSERT INTO orders SELECT i, '', 0, now() FROM unnest(ARRAY[{}]) AS i",
        list(&extra)
    ));
    let mut seen = Vec::new();
    let report =
        two.watched(&request("orders"), &mut |progress| seen.push(*progress)).await.unwrap();
    assert_eq!(ids(&report, Kind::Missing), missing);
    assert_eq!(ids(&report, Kind::Different), different);
    assert_eq!(ids(&report, Kind::Extra), extra);
    assert_eq!(report.differing(), (missing.len() + different.len() + extra.len()) as u64);
    assert_eq!((report.rows_from, report.rows_to), (200_000, 200_005 - missing.len() as u64));
    assert!(report.complete && !report.is_equal());
    let changed = report.differences.iter().filter(|d| d.kind == Kind::Different);
    assert!(changed.clone().all(|d| d.columns == ["cents"] && d.values.is_empty()));
    let last = seen.last().unwrap();
    assert_eq!((last.rows, last.found), (200_000, report.differing()));
    assert!(seen.windows(2).all(|pair| pair[0].rows <= pair[1].rows));
}

#[tokio::test]
async fn equal_tables_are_equal_whatever_the_sessions_and_the_layout() {
    let Some(two) = Two::make() else { return };
    let columns = "id int PRIMARY KEY, f4 real, f8 double precision, n numeric, at timestamptz, \
        b bytea, i interval, j jsonb, a text[], r int4range, m money, c char(5), x xml";
    two.from(&format!("CREATE TABLE t ({columns})"));
    // Another order of the columns.
    let (first, rest) = columns.split_once(", ").unwrap();
    two.to(&format!("CREATE TABLE t ({rest}, {first})"));
    let names = "id, f4, f8, n, at, b, i, j, a, r, m, c, x";
    let row = "(1, 0.1, 1e-300 / 3, 1.50, '2024-03-31 02:30:00+02', '\\x00ff', '1 mon 2 days', '{\"b\": 1, \"a\": 2}', \
        '{a,NULL,\"\"}', '[1,5)', 12.5, 'ab', '<a/>'), \
        (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL), \
        (3, 'NaN', '-0', 'NaN', 'infinity', '', '0', '{}', '{}', 'empty', 0, '', NULL)";
    two.from(&format!("INSERT INTO t ({names}) VALUES {row}"));
    let other = row
        .replace("1.50", "1.5")
        .replace("'-0'", "'0'")
        .replace("\"b\": 1, \"a\": 2", "\"a\":2,\"b\":1");
    two.to(&format!("INSERT INTO t ({names}) VALUES {other}"));
    let odd = "ALTER DATABASE {} SET timezone = 'Asia/Tokyo'; ALTER DATABASE {} SET datestyle = 'German'; \
        ALTER DATABASE {} SET extra_float_digits = 0; ALTER DATABASE {} SET bytea_output = 'escape'; \
        ALTER DATABASE {} SET intervalstyle = 'iso_8601';";
    two.to(&odd.replace("{}", &two.to));
    for hash in [Hash::Md5, Hash::Sha256] {
        let report = two.compare(&Request { hash, ..request("t") }).await;
        assert!(report.is_equal(), "{report:?}");
        assert_eq!((report.rows_from, report.columns), (3, 13));
    }
}

/// What looks alike and is not.
#[tokio::test]
async fn nulls_blanks_and_borders_of_columns_are_told_apart() {
    let Some(two) = Two::make() else { return };
    two.both("CREATE TABLE t (id int PRIMARY KEY, a text, b text)");
    two.from("INSERT INTO t VALUES (1, '', 'x'), (2, 'a,b', ''), (3, 'NULL', ''), (4, 'a', 'b'), (5, 'e', 'é')");
    two.to("INSERT INTO t VALUES (1, NULL, 'x'), (2, 'a', 'b,'), (3, NULL, ''), (4, 'a', 'b '), (5, 'é', 'e')");
    let report = two.compare(&Request { shows_values: true, ..request("t") }).await;
    assert_eq!(ids(&report, Kind::Different), (1..=5).collect());
    let columns: Vec<String> = report.differences.iter().map(|d| d.columns.join(" ")).collect();
    assert_eq!(columns, ["a", "a b", "a", "b", "a b"]);
    let values = &report.differences[0].values["a"];
    assert_eq!((values.from.as_deref(), values.to.as_deref()), (Some(""), None));
}

#[tokio::test]
async fn composite_keys_quoted_names_and_texts() {
    let Some(two) = Two::make() else { return };
    let table = "CREATE SCHEMA \"S p\"; CREATE TABLE \"S p\".\"T\"\"x\" (\"Key A\" text, b uuid, at date, \"v;\" int, PRIMARY KEY (\"Key A\", b, at)); \
        INSERT INTO \"S p\".\"T\"\"x\" SELECT chr(65 + i % 60) || chr(228 + i % 20), md5(i::text)::uuid, date '2020-01-01' + i % 900, i \
        FROM generate_series(1, 3000) AS i";
    two.both(table);
    two.to("UPDATE \"S p\".\"T\"\"x\" SET \"v;\" = NULL WHERE \"v;\" IN (17, 2800)");
    two.to("DELETE FROM \"S p\".\"T\"\"x\" WHERE \"v;\" = 1234");
    let limits = Limits { chunk: 300, leaf: 10, ..hasty() };
    let report = two.compare(&Request { limits, ..request("\"S p\".\"T\"\"x\"") }).await;
    assert_eq!((report.missing, report.different, report.extra), (1, 2, 0));
    assert_eq!(report.key, ["Key A", "b", "at"]);
    assert!(report.notes.is_empty() && report.ranges >= 2, "{report:?}");
    assert!(report.differences.iter().all(|d| d.key.len() == 3));
}

/// `int` to `bigint` on the key, `varchar` to `text`: the usual move.
#[tokio::test]
async fn wider_types_on_the_other_side_are_no_difference() {
    let Some(two) = Two::make() else { return };
    two.from("CREATE TABLE t (id int PRIMARY KEY, a varchar(9), n int); INSERT INTO t SELECT i, i, i FROM generate_series(1, 999) AS i");
    two.to("CREATE TABLE t (id bigint PRIMARY KEY, a text, n numeric(12, 2)); INSERT INTO t SELECT i, i, i FROM generate_series(1, 999) AS i; \
        INSERT INTO t VALUES (30000000000, 'x', 1)");
    let limits = Limits { chunk: 200, ..hasty() };
    for (from, to, extra, missing) in [(&two.from, &two.to, 1, 0), (&two.to, &two.from, 0, 1)] {
        let turned = Two { cluster: two.cluster, from: from.clone(), to: to.clone() };
        let report = turned.compare(&Request { limits, ..request("t") }).await;
        assert_eq!((report.extra, report.missing, report.different), (extra, missing, 0));
        assert_eq!(report.notes.len(), 2, "{:?}", report.notes);
    }
}

/// The order of texts differs between the databases, so the walk must not rely on it.
#[tokio::test]
async fn other_collations_hide_nothing() {
    let Some(two) = Two::make() else { return };
    let rows = "INSERT INTO t SELECT chr(65 + i % 58) || i, i FROM generate_series(1, 2000) AS i";
    two.from(&format!("CREATE TABLE t (k text COLLATE \"C\" PRIMARY KEY, v int); {rows}"));
    two.to("CREATE COLLATION other (provider = icu, locale = 'en-u-kf-upper')");
    two.to(&format!("CREATE TABLE t (k text COLLATE other PRIMARY KEY, v int); {rows}"));
    two.to("UPDATE t SET v = -1 WHERE v = 1000");
    let limits = Limits { chunk: 100, leaf: 10, ..hasty() };
    let report = two.compare(&Request { limits, ..request("t") }).await;
    assert_eq!((report.missing, report.extra, report.different), (0, 0, 1));
    assert!(report.notes[0].contains("walked by its text"), "{:?}", report.notes);
}

/// Rows that arrive while it looks are no difference; rows that never rest are told apart.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_in_flight_are_no_difference() {
    let Some(two) = Two::make() else { return };
    two.both("CREATE TABLE t (id int PRIMARY KEY, v int); INSERT INTO t SELECT i, 0 FROM generate_series(1, 5000) AS i");
    let late = connect(&two.cluster.url(&two.to), "to").await.unwrap();
    late.batch_execute("BEGIN; UPDATE t SET v = 1 WHERE id BETWEEN 100 AND 120").await.unwrap();
    two.from("UPDATE t SET v = 1 WHERE id BETWEEN 100 AND 120");
    two.from("UPDATE t SET v = 2 WHERE id = 4000");
    let limits = Limits { again: Duration::from_millis(200), ..hasty() };
    let asked = Request { limits, ..request("t") };
    let (walked, is_walked) = tokio::sync::oneshot::channel();
    let mut walked = Some(walked);
    let mut progress = move |_: &Progress| {
        if let Some(walked) = walked.take() {
            walked.send(()).unwrap();
        }
    };
    let arrive = async {
        is_walked.await.unwrap();
        late.batch_execute("COMMIT").await.unwrap();
    };
    let (report, ()) = tokio::join!(two.watched(&asked, &mut progress), arrive);
    let report = report.unwrap();
    assert_eq!((report.caught_up, report.different, report.moving), (21, 1, 0));
    assert_eq!(ids(&report, Kind::Different), [4000].into());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_never_rests_is_not_called_different() {
    let Some(two) = Two::make() else { return };
    two.both("CREATE TABLE t (id int PRIMARY KEY, v int); INSERT INTO t SELECT i, 0 FROM generate_series(1, 100) AS i");
    let busy = connect(&two.cluster.url(&two.from), "from").await.unwrap();
    two.from("UPDATE t SET v = -1 WHERE id = 7");
    let (stop, mut stopped) = tokio::sync::watch::channel(false);
    let writer = tokio::spawn(async move {
        while !*stopped.borrow_and_update() {
            busy.batch_execute("UPDATE t SET v = v - 1 WHERE id = 7").await.unwrap();
        }
    });
    let limits = Limits { again: Duration::from_millis(50), ..hasty() };
    let report = two.compare(&Request { limits, ..request("t") }).await;
    stop.send(true).unwrap();
    writer.await.unwrap();
    assert_eq!((report.moving, report.different), (1, 0));
    assert!(!report.is_equal());
}

#[tokio::test]
async fn one_empty_side_and_limits_on_what_is_told() {
    let Some(two) = Two::make() else { return };
    two.both("CREATE TABLE t (id int PRIMARY KEY, v int)");
    assert!(two.compare(&request("t")).await.is_equal());
    two.to("INSERT INTO t SELECT i, 0 FROM generate_series(1, 5000) AS i");
    let limits = Limits { listed: 3, chunk: 500, leaf: 50, ..hasty() };
    let report = two.compare(&Request { limits, ..request("t") }).await;
    assert_eq!((report.extra, report.differences.len(), report.complete), (5000, 3, true));
    let first: Vec<&Difference> = report.differences.iter().collect();
    assert!(first.iter().all(|d| d.kind == Kind::Extra));
    let limits = Limits { found: 100, ..limits };
    let report = two.compare(&Request { limits, ..request("t") }).await;
    assert!(!report.complete && !report.is_equal() && report.extra < 5000, "{report:?}");
}

#[tokio::test]
async fn a_key_that_is_none_is_said() {
    let Some(two) = Two::make() else { return };
    two.both("CREATE TABLE t (id int, v int); INSERT INTO t SELECT i % 3, i FROM generate_series(1, 900) AS i");
    assert!(matches!(two.try_compare(&request("t")).await, Err(Error::NoKey)));
    let named = Request { key: vec!["id".into()], ..request("t") };
    // Equal sums need no key; a difference does.
    assert!(two.compare(&named).await.is_equal());
    two.to("UPDATE t SET v = 0 WHERE v = 500");
    let error = two.try_compare(&named).await.unwrap_err().to_string();
    assert!(error.contains("several rows with the key"), "{error}");
    two.to("INSERT INTO t VALUES (NULL, 1)");
    let error = two.try_compare(&named).await.unwrap_err().to_string();
    assert!(error.contains("null in some rows of `to`"), "{error}");
}

#[tokio::test]
async fn views_partitions_and_other_names() {
    let Some(two) = Two::make() else { return };
    let rows = "SELECT i AS id, i * 2 AS v FROM generate_series(1, 500) AS i";
    two.from(&format!("CREATE TABLE base AS {rows}; CREATE VIEW shown AS SELECT id, v FROM base"));
    two.to(&format!(
        "CREATE TABLE parts (id int NOT NULL, v int, PRIMARY KEY (id)) PARTITION BY RANGE (id); \
         CREATE TABLE p1 PARTITION OF parts FOR VALUES FROM (0) TO (250); \
         CREATE TABLE p2 PARTITION OF parts FOR VALUES FROM (250) TO (9999); INSERT INTO parts {rows}"
    ));
    let asked = Request { to_table: Some("parts".into()), ..request("shown") };
    assert!(two.compare(&asked).await.is_equal());
    two.to("DELETE FROM parts WHERE id = 300");
    assert_eq!(ids(&two.compare(&asked).await, Kind::Missing), [300].into());
}

#[tokio::test]
async fn what_cannot_be_compared_is_said() {
    let Some(two) = Two::make() else { return };
    two.from("CREATE TABLE t (id int PRIMARY KEY)");
    let error = two.try_compare(&request("t")).await.unwrap_err().to_string();
    assert!(error.contains("`to` has no table `t`"), "{error}");
    two.to("CREATE TABLE t (id int PRIMARY KEY, more int)");
    let error = two.try_compare(&request("t")).await.unwrap_err().to_string();
    assert!(error.contains("more") && error.contains("--except"), "{error}");
    let secret = "postgres://someone:s3cret@127.0.0.1:1/none?connect_timeout=1";
    let no_tls = two.cluster.url(&two.from).replace('@', ":s3cret@") + "?sslmode=require";
    for (url, expected) in [
        (secret, "cannot be reached"),
        (no_tls.as_str(), "does not speak TLS"),
        ("postgres://u:s3cret@h/d?sslmode=verify-full", "sslrootcert=FILE"),
        ("postgres://u:s3cret@h:port/d", "cannot be read"),
    ] {
        let error = connect(url, "from").await.unwrap_err().to_string();
        assert!(error.contains(expected) && !error.contains("s3cret"), "{error}");
    }
}

/// A role that sees only some rows must not be told that the others are missing.
#[tokio::test]
async fn rows_hidden_by_a_policy_are_an_error() {
    let Some(two) = Two::make() else { return };
    two.both("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1), (2)");
    let role = serin_postgres::unique_name("reader");
    two.to(&format!(
        "CREATE ROLE {role} LOGIN; GRANT SELECT ON t TO {role}; ALTER TABLE t ENABLE ROW LEVEL SECURITY; \
         CREATE POLICY first_row ON t USING (id = 1)"
    ));
    let from = connect(&two.cluster.url(&two.from), "from").await.unwrap();
    let url = two.cluster.url(&two.to).replace("postgres@", &format!("{role}@"));
    let to = connect(&url, "to").await.unwrap();
    let error = compare(&from, &to, &request("t"), &mut |_| ()).await.unwrap_err().to_string();
    assert!(error.contains("row-level security"), "{error}");
}
