use super::*;
use proptest::prelude::*;

fn read(address: &str) -> Options {
    Options::read(address).unwrap()
}

#[test]
fn what_is_ours_is_taken_out() {
    let cases = [
        ("postgres://u:p@h:1/d", "postgres://u:p@h:1/d", None),
        (
            "postgres://u:p@h:1/d?sslmode=verify-full",
            "postgres://u:p@h:1/d",
            Some(Mode::VerifyFull),
        ),
        (
            "postgresql://h/d?connect_timeout=3&sslmode=require&application_name=x",
            "postgresql://h/d?connect_timeout=3&application_name=x",
            Some(Mode::Require),
        ),
        // A password with a question mark, and what looks like an option in it.
        (
            "postgres://u:p?sslmode=disable@h/d?sslmode=verify-ca",
            "postgres://u:p?sslmode=disable@h/d",
            Some(Mode::VerifyCa),
        ),
        ("postgres://h/d?%73slmode=all%6fw", "postgres://h/d", Some(Mode::Allow)),
        ("host=h sslmode=require dbname=d", "host=h dbname=d", Some(Mode::Require)),
        ("sslmode = 'prefer'  host = h", "host = h", Some(Mode::Prefer)),
        (
            "host=h password='a b\\'c' sslmode=disable",
            "host=h password='a b\\'c'",
            Some(Mode::Disable),
        ),
        ("host=h password=a\\ b sslmode=disable", "host=h password=a\\ b", Some(Mode::Disable)),
        ("host=h sslmode=", "host=h", None),
        ("sslmode=disable sslmode=require", "", Some(Mode::Require)),
        ("", "", None),
    ];
    for (address, rest, mode) in cases {
        let options = read(address);
        assert_eq!((options.rest.as_str(), options.mode), (rest, mode), "{address}");
    }
}

#[test]
fn files_are_named_in_both_forms() {
    let forms = [
        "postgres://h/d?sslrootcert=/etc/my%20ca.pem&sslcert=me.crt&sslkey=me%26you.key",
        "host=h sslrootcert='/etc/my ca.pem' sslcert=me.crt sslkey=me&you.key",
    ];
    for address in forms {
        let options = read(address);
        assert_eq!(options.root, Some(Root::File("/etc/my ca.pem".into())), "{address}");
        assert_eq!(options.certificate, Some("me.crt".into()), "{address}");
        assert_eq!(options.key, Some("me&you.key".into()), "{address}");
    }
    assert_eq!(read("postgres://h/d?sslrootcert=system").root, Some(Root::System));
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
    ];
    for (address, expected) in cases {
        let said = Options::read(address).err().unwrap().to_string();
        assert!(said.contains(expected) && !said.contains("s3cret"), "{address}: {said}");
    }
}

fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\\', "\\\\").replace('\'', "\\'"))
}

proptest! {
    #[test]
    fn no_text_is_too_strange(text in "\\PC{0,80}") {
        let _ = Options::read(&text);
        let _ = Options::read(&format!("postgres://{text}"));
    }

    #[test]
    fn the_rest_stays_as_it_is(password in "\\PC{0,20}", file in "\\PC{1,20}") {
        prop_assume!(file != "system");
        let address = format!(
            "host=h password={} sslrootcert={} dbname=d",
            quoted(&password),
            quoted(&file),
        );
        let options = read(&address);
        prop_assert_eq!(options.root, Some(Root::File(file.into())));
        prop_assert_eq!(options.rest, format!("host=h password={} dbname=d", quoted(&password)));
    }
}
