//! How an instance is told which shape of its database is its own.
//!
//! Everything that speaks Postgres through libpq reads the path and the name of its connections
//! from the environment, so that most apps need no change; others read the schema's name.

use crate::vars::Vars;
use serin_core::{DatabaseSpec, application_prefix};

impl Vars {
    /// The variables that `database` adds, without the address. `options` are those the instance
    /// has already.
    pub(crate) fn schema_of(
        &self,
        database: &DatabaseSpec,
        options: Option<&str>,
    ) -> [(String, String); 3] {
        let names = &database.inject;
        let own = database.views().unwrap_or(&database.schema);
        let path = format!("-c search_path={}", escaped(&search_path(database)));
        let options = match options.map(str::trim) {
            Some(given) if !given.is_empty() => format!("{given} {path}"),
            _ => path,
        };
        [
            (names.options.clone(), options),
            (names.application.clone(), self.application()),
            (names.schema.clone(), own.to_owned()),
        ]
    }

    /// `service/version/digest-number`: no two revisions begin alike, and Postgres keeps all of it.
    fn application(&self) -> String {
        let number = self.instance.rsplit('-').next().unwrap_or_default();
        format!("{}{number}", application_prefix(&self.service, &self.revision))
    }
}

/// The revision's own views first, then the tables, then where extensions usually are.
fn search_path(database: &DatabaseSpec) -> String {
    let mut path: Vec<&str> = database.views().into_iter().collect();
    path.push(&database.schema);
    if !path.contains(&"public") {
        path.push("public");
    }
    path.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(",")
}

/// A name as Postgres reads it in a setting.
fn quoted(name: &str) -> String {
    let inside = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let plain = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
    if plain && name.chars().all(inside) {
        return name.to_owned();
    }
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A value as libpq takes it out of `PGOPTIONS`: spaces and backslashes stand behind a backslash.
fn escaped(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for c in value.chars() {
        if c == '\\' || c.is_whitespace() {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serin_core::{Colour, EnvValue, Inject, Role};

    fn vars() -> Vars {
        Vars {
            service: "shop".parse().unwrap(),
            revision: "v2@ab12cd".parse().unwrap(),
            colour: Colour::Green,
            role: Role::Candidate,
            instance: "shop-v2-ab12-7".into(),
            port: 8101,
            flags: None,
        }
    }

    fn database(schema: &str, view: Option<&str>) -> DatabaseSpec {
        DatabaseSpec {
            url: EnvValue::FromEnv("DATABASE_URL".into()),
            schema: schema.into(),
            inject: Inject::default(),
            migration: None,
            view: view.map(Into::into),
        }
    }

    #[test]
    fn paths_are_quoted_for_postgres_and_for_libpq() {
        let cases = [
            ("public", None, "-c search_path=public"),
            ("public", Some("public_02"), "-c search_path=public_02,public"),
            ("public", Some("=full-name"), "-c search_path=public"),
            ("shop", None, "-c search_path=shop,public"),
            ("shop", Some("shop_02"), "-c search_path=shop_02,shop,public"),
            ("My Shop", None, "-c search_path=\"My\\ Shop\",public"),
            ("a\"b\\", None, "-c search_path=\"a\"\"b\\\\\",public"),
        ];
        for (schema, view, wanted) in cases {
            let [(name, options), ..] = vars().schema_of(&database(schema, view), None);
            assert_eq!((name.as_str(), options.as_str()), ("PGOPTIONS", wanted));
        }
    }

    #[test]
    fn options_of_the_user_stay_and_names_say_who_it_is() {
        let all = vars().schema_of(&database("public", Some("public_02")), Some("-c work_mem=8MB"));
        let [(_, options), (_, application), (_, schema)] = all;
        assert_eq!(options, "-c work_mem=8MB -c search_path=public_02,public");
        assert_eq!((application.as_str(), schema.as_str()), ("shop/v2/ab12-7", "public_02"));
        let long = Vars {
            service: "s".repeat(50).parse().unwrap(),
            revision: format!("{}@ab12cd", "v".repeat(64)).parse().unwrap(),
            instance: "x-123456".into(),
            ..vars()
        };
        assert!(long.application().len() <= 63);
        let prefix = application_prefix(&long.service, &long.revision);
        assert!(long.application().starts_with(&prefix));
    }
}
