//! Files as others write them, and what is told of them.

use crate::support::{said, serin};
use crate::{Lab, TOTAL, USERS, contains};

#[test]
fn sql_of_an_operation_is_taken_as_it_is() {
    for down in ["", ", down: DROP TABLE plain"] {
        let Some(lab) = Lab::new(USERS) else { return };
        let text =
            format!("operations: [{{ sql: {{ up: CREATE TABLE plain (id int){down} }} }}]\n");
        lab.write("01_plain.yaml", &text);
        let linted = lab.on(&["lint"], &lab.path());
        assert_eq!(linted.code, Some(0), "{linted:?}");
        assert_eq!(linted.out.contains("no-way-back"), down.is_empty(), "{linted:?}");
        let started = lab.on(&["start"], &lab.path());
        assert_eq!(started.code, Some(0), "{started:?}");
        let back = lab.migrate(&["rollback"]);
        assert_eq!(back.code, Some(0), "{back:?}");
        assert!(!back.out.contains("correct it"), "{back:?}");
        let left = lab.sql("SELECT to_regclass('plain') IS NOT NULL");
        assert_eq!(left == "t", down.is_empty());
    }
}

#[test]
fn an_end_names_what_it_hid() {
    let Some(lab) = Lab::new(USERS) else { return };
    lab.write("01_total.yaml", &format!("{TOTAL}  contract: {{ grace: 24h, automatic: true }}\n"));
    let waits = "`automatic: true` has no effect here";
    contains(&lab.on(&["plan", "--no-trace"], &lab.path()).out, &[waits]);
    contains(&lab.on(&["lint", "--offline"], &lab.path()).out, &["contract-waits", waits]);
    let started = lab.on(&["start", "--no-trace"], &lab.path());
    assert!(!started.err.contains("no runner works on it"), "{started:?}");
    let ended = lab.migrate(&["contract", "--backup", "a test"]);
    for said in [ended, lab.migrate(&["status"])] {
        contains(&said.out, &["hidden: column \"total\" of \"users\"; the grace time ends in"]);
    }
}

#[test]
fn a_file_of_a_service_tells_that_its_contract_waits() {
    let folder = tempfile::tempdir().unwrap();
    let migration = folder.path().join("01_total.yaml");
    let address = folder.path().join("url");
    let service = folder.path().join("shop.yaml");
    let text = format!(
        "apiVersion: serin.dev/v1alpha1\nkind: Service\nmetadata: {{ name: shop }}\nspec:\n  \
         replicas: 2\n  revision: v2\n  run: {{ command: [\"true\"] }}\n  \
         database: {{ url: {{ fromFile: {} }} }}\n  migrate: {}\n  \
         traffic: {{ listen: \"127.0.0.1:18080\" }}\n",
        address.display(),
        migration.display()
    );
    std::fs::write(&address, "postgres://u@localhost/x").unwrap();
    std::fs::write(&service, text).unwrap();
    for automatic in [true, false] {
        let contract = format!("{TOTAL}  contract: {{ automatic: {automatic} }}\n");
        std::fs::write(&migration, contract).unwrap();
        let told = said(serin(&["check", service.to_str().unwrap()]));
        assert_eq!(told.code, Some(0), "{told:?}");
        let waits = told.err.contains("`automatic: true` has no effect here");
        assert_eq!(waits, automatic, "{told:?}");
    }
}
