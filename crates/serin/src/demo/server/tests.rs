use super::*;
use std::os::unix::fs::MetadataExt as _;

/// A server that is a shell script.
fn scripted(script: &str) -> Server {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", script, "serin"]);
    Server::launch("/usr/bin/serin".into(), command, None).unwrap()
}

fn ready(server: &Server) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(server.ready())
}

#[test]
fn its_files_are_for_their_owner_only_and_paths_are_short() {
    let server = scripted("exec sleep 60");
    server.write("shop.yaml", "text").unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
    assert_eq!(mode(server.data()), 0o700);
    for file in fs::read_dir(server.data()).unwrap() {
        assert_eq!(mode(&file.unwrap().path()), 0o600);
    }
    assert!(server.data().join(SOCKET).as_os_str().len() < 100);
}

#[test]
fn a_server_that_ends_by_itself_is_an_error_with_its_last_words() {
    let server = scripted("echo 'no room for a socket' >&2; exit 3");
    let failure = ready(&server).unwrap_err();
    assert_eq!(failure.message, "the server has ended: exit status: 3");
    assert_eq!(server.last_words().as_deref(), Some("no room for a socket"));
}

/// The script writes outside of its directory what it was asked, and by which arguments it ran.
#[test]
fn it_is_asked_to_end_and_its_directory_goes_with_it() {
    let seen = tempfile::NamedTempFile::new().unwrap();
    let script = format!(
        "trap 'echo asked $1 >{}; exit 0' TERM; echo up; while :; do sleep 0.01; done",
        seen.path().display()
    );
    let server = scripted(&script);
    let data = server.data().to_owned();
    while server.last_words().as_deref() != Some("up") {
        thread::yield_now();
    }
    server.stop().unwrap();
    assert_eq!(fs::read_to_string(seen.path()).unwrap(), "asked serve\n");
    assert!(!data.exists());
}

#[test]
fn the_shop_gets_a_port_nobody_has() {
    let address = free_address().unwrap();
    TcpListener::bind(address).unwrap();
}

#[test]
fn a_program_is_called_as_the_shell_finds_it() {
    let shell = Path::new("/bin/sh").canonicalize().unwrap();
    assert_eq!(called(&shell), shell.file_name().unwrap().to_str().unwrap());
    let here = env::current_dir().unwrap();
    assert_eq!(called(&here.join("target/release/serin")), "target/release/serin");
    assert_eq!(called(Path::new("/elsewhere/serin")), "/elsewhere/serin");
}
