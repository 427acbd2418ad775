use super::*;
use serin_flags::Bucketing;

fn map(lines: &[(&str, &str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in lines {
        map.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
    }
    map
}

fn flags(user: Source) -> wire::Flags {
    let attributes = BTreeMap::from([
        ("plan".to_owned(), Source::Header("x-plan".to_owned())),
        ("tenant".to_owned(), Source::Claim("tenant".to_owned())),
    ]);
    let keys = vec!["new_checkout".to_owned()];
    wire::Flags { keys, attributes, ..wire::Flags::new("production", user) }
}

fn compiled(document: &str) -> Compiled {
    let flags = FlagSet::parse(document.as_bytes(), Bucketing::V3).unwrap();
    Compiled { definition: Arc::new(SetDefinition::new("production")), flags: Arc::new(flags) }
}

const STATIC: &str = r#"{"flags":{"new_checkout":{"state":"ENABLED","defaultVariant":"off",
    "variants":{"on":true,"off":false}}}}"#;

fn carried(user: Source) -> Carried {
    Carried::new("shop", &flags(user), &compiled(STATIC), BTreeMap::new()).unwrap()
}

fn cookie() -> Source {
    Source::Cookie("user".to_owned())
}

#[test]
fn the_context_is_what_was_asked_for_and_nothing_else() {
    // {"tenant":"acme","sub":"ada"}
    let token = "Bearer h.eyJ0ZW5hbnQiOiJhY21lIiwic3ViIjoiYWRhIn0.s";
    let headers = map(&[
        ("x-user", " ada "),
        ("x-plan", "pro"),
        ("x-other", "1"),
        ("cookie", "user=eve; a=b"),
        ("authorization", token),
    ]);
    for (source, key) in [
        (Source::Header("x-user".into()), "ada"),
        (cookie(), "eve"),
        (Source::Claim("sub".into()), "ada"),
    ] {
        let carried = carried(source);
        let claims = token::claims(&headers["authorization"]);
        let context = carried.context(&headers, None, claims.as_ref());
        assert_eq!(context.targeting_key(), Some(key));
        assert_eq!(context.get("plan"), Some(&Datum::Text("pro".into())));
        assert_eq!(context.get("tenant"), Some(&Datum::Text("acme".into())));
        assert_eq!(context.len(), 3);
    }
    let nobody = map(&[("x-plan", &"p".repeat(MAX_VALUE + 1))]);
    assert!(carried(cookie()).context(&nobody, None, None).is_empty());
}

#[test]
fn a_newcomer_is_evaluated_under_the_name_that_the_cookie_gives() {
    let mut rng = Rng::with_seed(1);
    let carried = carried(cookie());
    let welcome = carried.welcome(&HeaderMap::new(), None, &mut rng).unwrap();
    let name = affinity::given(&welcome, "user").unwrap().to_vec();
    let headers = HeaderMap::new();
    let context = carried.context(&headers, Some(&welcome), None);
    assert_eq!(context.targeting_key().unwrap().as_bytes(), name);
    let known = map(&[("cookie", "user=ada")]);
    assert_eq!(carried.welcome(&known, None, &mut rng), None);
    let given = HeaderValue::from_static("user=1; Path=/");
    assert_eq!(carried.welcome(&HeaderMap::new(), Some(&given), &mut rng), None);
    let mut answer = map(&[("set-cookie", "user=own")]);
    carried.give(welcome, &mut answer);
    assert_eq!(answer.len(), 1, "the app's own cookie stays");
}

#[test]
fn the_app_is_told_the_variant() {
    let mut headers = map(&[("cookie", "user=ada")]);
    assert!(carried(cookie()).evaluate(&mut headers, None, 0).is_empty());
    assert_eq!(headers["x-serin-flag-new_checkout"], "off");
}

#[test]
fn routes_that_cannot_tell_flags_apart_are_refused() {
    let with = |keys: &[&str]| {
        let keys = keys.iter().map(|key| (*key).to_owned()).collect();
        wire::Flags { keys, ..flags(cookie()) }.check()
    };
    assert_eq!(with(&["a", "b.c", "d_e"]), Ok(()));
    assert!(with(&["New", "new"]).unwrap_err().to_string().contains("X-Serin-Flag-new"));
    assert!(with(&["new_a", "new-a"]).is_err(), "an app may read both as NEW_A");
    assert!(with(&["new.a", "new-a"]).is_err());
    assert!(with(&["a:b"]).is_err());
    assert!(with(&["a"; 101]).is_err());
    assert!(flags(Source::Header("x user".into())).check().is_err());
}

#[test]
fn of_two_flags_that_an_app_cannot_tell_apart_one_is_told() {
    let keys = vec!["new_checkout".to_owned(), "new-checkout".to_owned()];
    let wire = wire::Flags { keys, ..flags(cookie()) };
    let both = STATIC.replace(
        r#"{"flags":{"#,
        r#"{"flags":{"new-checkout":{"state":"ENABLED","defaultVariant":"on",
            "variants":{"on":true,"off":false}},"#,
    );
    let carried = Carried::new("shop", &wire, &compiled(&both), BTreeMap::new()).unwrap();
    let mut headers = map(&[("cookie", "user=ada")]);
    carried.evaluate(&mut headers, None, 0);
    assert_eq!(headers["x-serin-flag-new_checkout"], "off");
    assert_eq!(headers.len(), 2, "{headers:?}");
}

#[test]
fn a_flag_whose_release_is_over_is_still_told() {
    let wire = wire::Flags::new("production", cookie());
    let mut set = compiled(STATIC);
    let carried = |carrier, set: &Compiled| {
        let carried = Carried::new(carrier, &wire, set, BTreeMap::new())?;
        let mut headers = map(&[("cookie", "user=ada")]);
        carried.evaluate(&mut headers, None, 0);
        headers.get("x-serin-flag-new_checkout").cloned()
    };
    assert_eq!(carried("shop", &set), None);
    let mut definition = SetDefinition::new("production");
    let flag = Definition::boolean(serin_flags::Kind::Release, "shop");
    let flag = Definition { carried_by: Some("shop".to_owned()), ..flag };
    definition.flags.insert("new_checkout".parse().unwrap(), flag);
    set.definition = Arc::new(definition);
    assert_eq!(carried("shop", &set).unwrap(), "off");
    assert_eq!(carried("pay", &set), None);
}
