//! Who writes, and with whose rights: functions that run as their owner, functions that somebody
//! put in the way, paths that a role brings along.

use crate::clients::{APART, ORDERS, cents};
use crate::kit::*;
use serde_json::json;

/// Functions of somebody who may create some in the schema: they fit better than those of Postgres
/// where types are the same, and say so when they are called.
const IN_THE_WAY: &str = "\
    CREATE FUNCTION public.fail(what text) RETURNS text LANGUAGE plpgsql AS \
      $$ BEGIN RAISE EXCEPTION 'hijacked: %', what; END $$; \
    CREATE FUNCTION public.array_position(name[], name) RETURNS integer LANGUAGE sql AS \
      $$ SELECT fail('array_position')::integer $$; \
    CREATE FUNCTION public.nextval(text) RETURNS bigint LANGUAGE sql AS \
      $$ SELECT fail('nextval')::bigint $$; \
    CREATE FUNCTION public.to_jsonb(public.orders) RETURNS jsonb LANGUAGE sql AS \
      $$ SELECT fail('to_jsonb')::jsonb $$; \
    CREATE FUNCTION public.jsonb_build_object(text, integer) RETURNS jsonb LANGUAGE sql AS \
      $$ SELECT fail('jsonb_build_object')::jsonb $$; \
    CREATE FUNCTION public.jsonb_build_object(text, bigint) RETURNS jsonb LANGUAGE sql AS \
      $$ SELECT fail('jsonb_build_object')::jsonb $$;";

#[test]
fn functions_in_the_way_are_not_called_by_the_trigger() {
    let Some(lab) = Lab::new(ORDERS) else { return };
    lab.sql(IN_THE_WAY);
    let mut document = cents();
    document["operations"][0]["alter_column"]["up"] = json!("total");
    document["operations"][0]["alter_column"]["down"] = json!("total");
    document["serin"]["on_down_error"] = json!("quarantine");
    lab.start("01", &document);
    lab.sql("UPDATE orders SET total = 70 WHERE id = 7; INSERT INTO orders VALUES (9001, 1)");
    lab.sql(
        "SET search_path = public_cents, public; UPDATE orders SET total = 80 WHERE id = 8; \
         INSERT INTO orders VALUES (9002, 2); UPDATE orders SET total = 3000000000 WHERE id = 9",
    );
    let both = "SELECT string_agg(o.total || '/' || n.total, ' ' ORDER BY id) FROM public.orders o \
        JOIN public_cents.orders n USING (id) WHERE id IN (7, 8, 9, 9001, 9002)";
    assert_eq!(lab.sql(both), "70/70 80/80 9/3000000000 1/1 2/2");
    assert_eq!(lab.sql("SELECT key ->> 'id' FROM serin.irreversible"), "9");
}

/// A table that its users only reach through functions, which run as their owner.
fn functions(lab: &Lab) -> (String, String) {
    let (boss, clerk) = (serin_postgres::unique_name("boss"), serin_postgres::unique_name("clerk"));
    lab.sql(&format!(
        "CREATE ROLE {boss}; CREATE ROLE {clerk}; ALTER TABLE orders OWNER TO {boss}; \
         GRANT ALL ON SCHEMA public TO {boss}; GRANT {boss} TO postgres; SET ROLE {boss}; \
         CREATE FUNCTION fixed(of integer, by integer) RETURNS void LANGUAGE sql SECURITY DEFINER \
           SET search_path = public AS 'UPDATE orders SET total = total + by WHERE id = of'; \
         CREATE FUNCTION free(of integer, by integer) RETURNS void LANGUAGE plpgsql SECURITY DEFINER \
           AS $$ BEGIN UPDATE orders SET total = total + by WHERE id = of; END $$;"
    ));
    (boss, clerk)
}

#[test]
fn functions_that_run_as_their_owner_write_the_shape_that_they_see() {
    let Some(lab) = Lab::new(ORDERS) else { return };
    let (_, clerk) = functions(&lab);
    lab.start("01", &cents());
    lab.sql(&format!("GRANT USAGE ON SCHEMA public, public_cents TO {clerk}"));
    let as_clerk = |path: &str, sql: &str| {
        lab.sql(&format!("SET ROLE {clerk}; SET search_path = {path}; {sql}"))
    };
    // One with a path of its own uses the tables, whoever calls it: whole coins.
    as_clerk("public_cents, public", "SELECT fixed(1, 1)");
    as_clerk("public", "SELECT fixed(2, 1)");
    // One without looks where its caller looks, in one session now here, now there.
    as_clerk("public_cents, public", "SELECT free(3, 100)");
    as_clerk(
        "public",
        "SELECT free(4, 1); SET search_path = public_cents, public; SELECT free(5, 100); \
         SET search_path = public; SELECT free(6, 1)",
    );
    assert_eq!(lab.sql(APART), "0");
    let totals = "SELECT string_agg(total::text, ',' ORDER BY id) FROM orders WHERE id < 7";
    assert_eq!(lab.sql(totals), "2,3,4,5,6,7");
    let refused = lab.error(&format!("SET ROLE {clerk}; UPDATE public_cents.orders SET total = 1"));
    assert!(refused.contains("permission denied"), "{refused}");
    lab.contract();
    as_clerk("public_cents, public", "SELECT fixed(1, 100), free(2, 100)");
    assert_eq!(lab.sql(totals), "300,400,400,500,600,700");
}

#[test]
fn paths_that_a_role_brings_along_are_understood() {
    let Some(lab) = Lab::new(ORDERS) else { return };
    lab.start("01", &cents());
    let roles = ["newer", "older"].map(serin_postgres::unique_name);
    let [newer, older] = &roles;
    // A role that has the name of the views finds them through "$user".
    lab.sql(&format!(
        "CREATE ROLE {newer} LOGIN; CREATE ROLE {older} LOGIN; CREATE ROLE public_cents LOGIN; \
         GRANT USAGE ON SCHEMA public, public_cents TO {newer}, {older}, public_cents; \
         GRANT ALL ON public.orders, public_cents.orders TO {newer}, {older}, public_cents; \
         ALTER ROLE {newer} SET search_path = \"public_cents\", public; \
         ALTER ROLE {older} IN DATABASE {} SET search_path = \"$user\", public;",
        lab.database
    ));
    let write = |role: &str, id: u32, before: &str| {
        block(async {
            let url = lab.url().replace("postgres@", &format!("{role}@"));
            let (client, connection) =
                tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
            tokio::spawn(connection);
            let sql = format!("{before}; UPDATE orders SET total = 700 WHERE id = {id}");
            client.batch_execute(&sql).await.unwrap();
        });
        lab.sql(&format!("SELECT total FROM public.orders WHERE id = {id}"))
    };
    assert_eq!(write(newer, 1, ""), "7");
    assert_eq!(write(older, 2, ""), "700");
    assert_eq!(write("public_cents", 3, "SET search_path = \"$user\", public"), "7");
    assert_eq!(write(older, 4, "SET search_path = nowhere, public_cents"), "7");
    assert_eq!(write(newer, 5, "SET search_path = public, public_cents"), "700");
    assert_eq!(lab.sql(APART), "0");
    // Who writes a view by its full name cannot be told from an old client: drift shows the row.
    lab.sql("SET search_path = public; UPDATE public_cents.orders SET total = 700 WHERE id = 6");
    let drift = block(lab.runner().drift(100_000)).unwrap();
    assert_eq!((drift.apart, drift.rows.as_slice()), (1, ["orders: id=6".to_owned()].as_slice()));
    let refused = block(lab.runner().contract(&sure())).unwrap_err().to_string();
    assert!(refused.contains("1 of 3000 rows looked at") && refused.contains("id=6"), "{refused}");
    lab.sql("SET search_path = public_cents; UPDATE orders SET total = 800 WHERE id = 6");
    assert_eq!(lab.sql(APART), "0");
    lab.contract();
    lab.sql("DROP OWNED BY public_cents; DROP ROLE public_cents");
}

#[test]
fn who_is_not_let_in_is_told_so() {
    let Some(lab) = Lab::new("SELECT 1") else { return };
    let wrong = [
        (lab.url().replace("postgres@", "nobody_known@"), "nobody_known"),
        (lab.cluster.url("no_such_database"), "no_such_database"),
    ];
    for (url, named) in wrong {
        let runner = runner_at(&url, std::sync::Arc::new(serin_migrate::Alone));
        let error = block(runner.status()).unwrap_err();
        let said = error.to_string();
        assert!(matches!(error, serin_migrate::Error::Login { .. }), "{said}");
        assert!(said.contains("refuses the login") && said.contains(named), "{said}");
    }
}
