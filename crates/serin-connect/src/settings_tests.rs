use super::*;
use crate::options::{Mode, Options, Root};
use proptest::prelude::*;

/// As pairs, in the order of their keys.
fn pairs_of(address: &str) -> String {
    Settings::read(address).unwrap().into_pairs().unwrap()
}

fn options(address: &str) -> Options {
    Options::of(Settings::read(address).unwrap()).unwrap()
}

#[test]
fn an_address_is_what_libpq_takes_it_for() {
    let cases = [
        ("postgres://u:p@h:1/d", "dbname='d' host='h' password='p' port='1' user='u'"),
        ("postgresql://h/d?connect_timeout=3", "connect_timeout='3' dbname='d' host='h'"),
        ("postgres://", ""),
        ("postgres:///d", "dbname='d'"),
        ("postgres://:7/d", "dbname='d' port='7'"),
        ("postgres://a:1,b,[::1]:3/d", "dbname='d' host='a,b,::1' port='1,,3'"),
        ("postgres://a,b", "host='a,b'"),
        ("postgres://%2Ftmp/d", "dbname='d' host='/tmp'"),
        // What stands behind the `?` counts, and comes last.
        ("postgres://h:1/d?port=2&host=i", "dbname='d' host='i' port='2'"),
        ("postgres://h?dbname=d&&user=u", "dbname='d' host='h' user='u'"),
        ("postgres://h/?user=%27%5C%20", "host='h' user='\\'\\\\ '"),
        // A password with a question mark, and what looks like an option in it.
        (
            "postgres://u:p?port=9@h/d?port=2",
            "dbname='d' host='h' password='p?port=9' port='2' user='u'",
        ),
        // An `@` behind the first `/` belongs to no user.
        ("postgres://h/d?options=a@b", "dbname='d' host='h' options='a@b'"),
        ("postgres://h/a@b", "dbname='a@b' host='h'"),
        (
            "postgres://h:1/d?user=a@b&password=c@d",
            "dbname='d' host='h' password='c@d' port='1' user='a@b'",
        ),
        ("host=h port = '1'  dbname = d", "dbname='d' host='h' port='1'"),
        ("host=h password='a b\\'c'", "host='h' password='a b\\'c'"),
        ("host=h password=a\\ b", "host='h' password='a b'"),
        ("host=h port=", "host='h'"),
        ("port=1 port=2", "port='2'"),
        ("", ""),
    ];
    for (address, pairs) in cases {
        assert_eq!(pairs_of(address), pairs, "{address}");
    }
}

#[test]
fn safety_is_taken_out() {
    let cases = [
        ("postgres://h?sslmode=verify-full", Some(Mode::VerifyFull)),
        ("postgres://h/d?%73slmode=all%6fw", Some(Mode::Allow)),
        ("host=h sslmode=require", Some(Mode::Require)),
        ("sslmode = 'prefer'  host = h", Some(Mode::Prefer)),
        ("host=h sslmode=", None),
        ("sslmode=disable sslmode=require host=h", Some(Mode::Require)),
    ];
    for (address, mode) in cases {
        let options = options(address);
        assert_eq!(options.mode, mode, "{address}");
        assert!(
            options.rest.into_pairs().unwrap().starts_with("host='h'") || address.contains("/d")
        );
    }
}

#[test]
fn files_are_named_in_both_forms() {
    let forms = [
        "postgres://h/d?sslrootcert=/etc/my%20ca.pem&sslcert=me.crt&sslkey=me%26you.key",
        "host=h sslrootcert='/etc/my ca.pem' sslcert=me.crt sslkey=me&you.key",
    ];
    for address in forms {
        let options = options(address);
        assert_eq!(options.root, Some(Root::File("/etc/my ca.pem".into())), "{address}");
        assert_eq!(options.certificate, Some("me.crt".into()), "{address}");
        assert_eq!(options.key, Some("me&you.key".into()), "{address}");
    }
    assert_eq!(options("postgres://h/d?sslrootcert=system").root, Some(Root::System));
}

#[test]
fn flaws_show_no_value() {
    let cases = [
        ("postgres://u:s3cret@h/d?sslmode=s3cret", "verify-full"),
        ("host=h sslmode=s3cret", "verify-full"),
        ("host=h password=two s3cret", "quotes"),
        ("host=h password=two s3cret words=3", "quotes"),
        ("host=h password='s3cret", "quotes"),
        ("s3cret", "quotes"),
        ("postgres://h/d?a=%ff", "UTF-8"),
        ("postgres://h/d?s3cret", "no `=`"),
        ("postgres://h/d?s3cret%20=a", "no option has"),
        ("postgres://[s3cret/d", "brackets"),
        ("postgres://u:p@s3cret@h/d", "%40"),
        ("postgres://u:p/s3cret@h/d", "%2F"),
    ];
    for (address, expected) in cases {
        let read = Settings::read(address).and_then(Options::of);
        let said = read.and_then(|options| options.rest.into_pairs()).unwrap_err().to_string();
        assert!(said.contains(expected) && !said.contains("s3cret"), "{address}: {said}");
    }
}

fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\\', "\\\\").replace('\'', "\\'"))
}

proptest! {
    #[test]
    fn no_text_is_too_strange(text in "\\PC{0,80}") {
        let _ = Settings::read(&text);
        let _ = Settings::read(&format!("postgres://{text}"));
    }

    #[test]
    fn values_stay_as_they_are(password in "\\PC{1,20}", file in "\\PC{1,20}") {
        prop_assume!(file != "system");
        let address = format!(
            "host=h password={} sslrootcert={} dbname=d",
            quoted(&password),
            quoted(&file),
        );
        let options = options(&address);
        prop_assert_eq!(options.root, Some(Root::File(file.into())));
        let config: tokio_postgres::Config = options.rest.into_pairs().unwrap().parse().unwrap();
        prop_assert_eq!(config.get_password(), Some(password.as_bytes()));
        prop_assert_eq!(config.get_dbname(), Some("d"));
    }
}
