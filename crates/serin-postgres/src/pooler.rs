//! A PgBouncer before a server.

use crate::cluster::{Cluster, LOOK, START, free_port, keep};
use crate::{Error, is_ci};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Instant;
use tempfile::TempDir;

/// Ports tried before it is given up.
const TRIES: u32 = 5;

/// Becomes the pooler. Beside it waits what ends it and takes its folder away when this process is
/// gone, however it ended.
const STARTED: &str = r#"
exec 3<&0
(
  if read -r keep <&3; then exit; fi
  kill -TERM $$
  rm -rf "$1"
) >/dev/null 2>&1 &
exec "$0" "$1/pgbouncer.ini" </dev/null 3<&-
"#;

/// A running PgBouncer, ended when dropped.
#[derive(Debug)]
pub struct Pooler {
    folder: TempDir,
    port: u16,
    child: Child,
}

impl Pooler {
    /// Starts one before `cluster`, for everybody the server trusts, with further settings such as
    /// `("pool_mode", "session")`. `None`, said loudly, where there is none.
    ///
    /// # Errors
    /// When it does not answer.
    ///
    /// # Panics
    /// Where `CI` is set and there is none.
    pub fn start(cluster: &Cluster, settings: &[(&str, &str)]) -> Result<Option<Self>, Error> {
        Self::start_with(cluster, settings, &[])
    }

    /// The same with files of its own, such as a key: name and content. In the settings `FOLDER`
    /// stands for where they are.
    ///
    /// # Errors
    /// As [`Self::start`].
    ///
    /// # Panics
    /// As [`Self::start`].
    pub fn start_with(
        cluster: &Cluster,
        settings: &[(&str, &str)],
        files: &[(&str, &str)],
    ) -> Result<Option<Self>, Error> {
        let Some(program) = program() else {
            assert!(!is_ci(), "tests of migrations behind a pooler need `pgbouncer`");
            eprintln!("SKIPPED: tests that need `pgbouncer`; install Debian's");
            return Ok(None);
        };
        // Between choosing a free port and taking it another may be faster.
        for _ in 0..TRIES {
            if let Some(pooler) = Self::begin(&program, cluster, settings, files)? {
                return Ok(Some(pooler));
            }
        }
        Err(Error::Silent { seconds: 0, log: "each port was taken before it could listen".into() })
    }

    /// `None` where its port was taken meanwhile.
    fn begin(
        program: &Path,
        cluster: &Cluster,
        settings: &[(&str, &str)],
        files: &[(&str, &str)],
    ) -> Result<Option<Self>, Error> {
        let folder =
            TempDir::with_prefix("serin-pool-").map_err(Error::io("a temporary folder"))?;
        cluster.user().own(folder.path())?;
        let port = free_port()?;
        let text = configuration(cluster, port, folder.path(), settings);
        let own = [("users", "\"postgres\" \"\"\n"), ("pgbouncer.ini", text.as_str())];
        for (name, text) in own.iter().chain(files) {
            let path = folder.path().join(name);
            fs::write(&path, text).map_err(Error::io("the settings of PgBouncer"))?;
            cluster.user().own(&path)?;
        }
        let mut command = cluster.user().command(Path::new("sh"));
        command.arg("-c").arg(STARTED).arg(program).arg(folder.path());
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().map_err(Error::io("starting pgbouncer"))?;
        let pooler = Self { folder, port, child };
        Ok(pooler.wait(cluster)?.then_some(pooler))
    }

    /// Its port on the loopback.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The address of a database through it.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// Whether it listens, and not somebody else in its place: its own log says so.
    fn wait(&self, cluster: &Cluster) -> Result<bool, Error> {
        let until = Instant::now() + START;
        let listens = format!("listening on 127.0.0.1:{}", self.port);
        while Instant::now() < until {
            let log = self.log();
            if log.contains("Address already in use") {
                return Ok(false);
            }
            let answers = || cluster.sql_at(&self.url("postgres"), "SELECT 1").is_ok();
            if log.contains(&listens) && answers() {
                return Ok(true);
            }
            std::thread::sleep(LOOK);
        }
        let log = self.log();
        Err(Error::Silent { seconds: START.as_secs(), log })
    }
}

impl Pooler {
    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        keep(&mut self.child);
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn program() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    folders.map(|folder| folder.join("pgbouncer")).find(|program| program.is_file())
}

fn configuration(cluster: &Cluster, port: u16, folder: &Path, own: &[(&str, &str)]) -> String {
    let at = |name: &str| folder.join(name).display().to_string();
    let mut lines = vec![
        "[databases]".to_owned(),
        format!("* = host=127.0.0.1 port={}", cluster.port()),
        "[pgbouncer]".to_owned(),
        "listen_addr = 127.0.0.1".to_owned(),
        format!("listen_port = {port}"),
        "unix_socket_dir =".to_owned(),
        "auth_type = trust".to_owned(),
        format!("auth_file = {}", at("users")),
        format!("logfile = {}", at("log")),
    ];
    let folder = folder.display().to_string();
    let value = |value: &str| value.replace("FOLDER", &folder);
    lines.extend(own.iter().map(|(name, text)| format!("{name} = {}", value(text))));
    lines.join("\n") + "\n"
}
