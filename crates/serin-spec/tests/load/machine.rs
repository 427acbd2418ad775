//! Checks that touch the machine, on a machine made of lists.

use crate::{SERVICE, lines, loaded};
use serin_spec::{Need, environment_problems};
use std::path::Path;

/// What is said on a machine with these paths and these variables.
fn said(run: &str, paths: &[(Need, &str)], variables: &[(&str, &str)]) -> String {
    let text = SERVICE.replace("    command: [\"./shop\", \"$(PORT)\"]\n", run);
    let have = |need, path: &Path| paths.contains(&(need, path.to_str().unwrap()));
    let variable = |name: &str| {
        variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    };
    lines(&environment_problems(&loaded(&text).services, have, variable))
}

use Need::{Directory as D, Executable as X, Readable as R};

#[test]
fn a_relative_command_is_looked_for_in_the_working_directory() {
    let run = "    command: [bin/shop, $(PORT)]\n";
    assert_eq!(said(run, &[(D, "/srv/app"), (X, "/srv/app/bin/shop")], &[]), "");
    assert_eq!(
        said(run, &[(D, "/srv/app"), (X, "/bin/shop")], &[]),
        "6:15 no-command: the command `bin/shop` is not there, or is not executable -> looked at `/srv/app/bin/shop`"
    );
}

#[test]
fn a_bare_command_is_looked_for_in_path() {
    let run = "    command: [python3, $(PORT)]\n";
    let machine = [(D, "/srv/app"), (X, "/opt/bin/python3")];
    assert_eq!(said(run, &machine, &[("PATH", "/bin:/opt/bin")]), "");
    assert_eq!(
        said(run, &machine, &[("PATH", "/bin")]),
        "6:15 no-command: the command `python3` is not in PATH -> write its path, relative to the working directory or absolute"
    );
    let own = "    command: [python3, $(PORT)]\n    env: { PATH: /opt/bin }\n";
    assert_eq!(said(own, &machine, &[("PATH", "/bin")]), "");
    assert_eq!(said(own, &machine[..1], &[("PATH", "/opt/bin")]).lines().count(), 1);
}

#[test]
fn a_command_with_a_variable_is_not_known_yet() {
    let run = "    command: [\"releases/$(REVISION)/shop\", $(PORT)]\n";
    assert_eq!(said(run, &[(D, "/srv/app")], &[]), "");
}

#[test]
fn a_missing_directory_is_one_problem() {
    let run = "    command: [./shop, $(PORT)]\n    workingDirectory: gone\n";
    assert_eq!(
        said(run, &[], &[]),
        "7:23 no-directory: the working directory `/srv/app/gone` does not exist -> create it, or correct the path"
    );
}

#[test]
fn files_and_variables_of_the_environment_must_be_there() {
    let run = "    command: [./shop, $(PORT)]
    env: { A: { fromFile: a }, B: { fromEnv: BB }, C: { fromFile: c }, D: { fromEnv: DD } }
    envFiles: [e, /f]
";
    let machine = [(D, "/srv/app"), (X, "/srv/app/./shop"), (R, "/srv/app/a"), (R, "/f")];
    let expected = "\
8:16 no-file: the file `/srv/app/e` cannot be read -> create it, or correct the path and its permissions
7:46 warning no-variable: the variable `BB` is not set here -> it must be set where `serin serve` runs
7:67 no-file: the file `/srv/app/c` cannot be read -> create it, or correct the path and its permissions";
    assert_eq!(said(run, &machine, &[("DD", "")]), expected);
}

#[test]
fn what_notify_refers_to_must_be_there() {
    let run = "    command: [./shop, $(PORT)]
  notify:
    - http: { url: { fromFile: way }, headers: { X-Token: { fromEnv: TT } } }
    - { command: [page], env: { KEY: { fromFile: /k } } }
";
    let machine = [(D, "/srv/app"), (X, "/srv/app/./shop")];
    let expected = "\
8:32 no-file: the file `/srv/app/way` cannot be read -> create it, or correct the path and its permissions
8:70 warning no-variable: the variable `TT` is not set here -> it must be set where `serin serve` runs
9:50 no-file: the file `/k` cannot be read -> create it, or correct the path and its permissions";
    assert_eq!(said(run, &machine, &[]), expected);
    let there = [machine[0], machine[1], (R, "/srv/app/way"), (R, "/k")];
    assert_eq!(said(run, &there, &[("TT", "x")]), "");
}
