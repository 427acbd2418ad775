//! One private server.

use crate::{Error, Installation, user::User};
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Longest wait for the server to answer.
pub(crate) const START: Duration = Duration::from_secs(60);

/// Longest wait for it to end.
const END: Duration = Duration::from_secs(30);

/// Time between two looks.
pub(crate) const LOOK: Duration = Duration::from_millis(20);

/// Becomes the server. Beside it waits what ends the server and takes its folder away when this
/// process is gone, however it ended: its end of the pipe is closed then.
const STARTED: &str = r#"
exec 3<&0
(
  if read -r keep <&3; then exit; fi
  kill -QUIT $$
  while kill -0 $$; do sleep 0.1; done
  rm -rf "$1"
) >/dev/null 2>&1 &
exec "$0" -D "$1/data" </dev/null 3<&-
"#;

/// Whether what was committed survives the machine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Durability {
    /// Nothing is synced: fast, and enough while only processes are killed and the server is not.
    #[default]
    Fast,
    /// As in life, for tests that kill the server itself.
    Full,
}

/// How a server is set up.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Whether commits are synced.
    pub durability: Durability,
    /// Further settings of the server, such as `("wal_level", "logical")`.
    pub parameters: Vec<(String, String)>,
    /// Files in its folder of data, such as a key or `pg_hba.conf`: name and content. Only its user
    /// reads them.
    pub files: Vec<(String, String)>,
}

/// A running server, ended when dropped.
#[derive(Debug)]
pub struct Cluster {
    installation: Installation,
    user: User,
    folder: TempDir,
    port: u16,
    settings: Settings,
    process: Mutex<Option<Child>>,
}

impl Cluster {
    /// Makes a new server and starts it.
    ///
    /// # Errors
    /// When its programs fail or it does not answer.
    pub fn start(installation: &Installation, settings: &Settings) -> Result<Self, Error> {
        let user = User::find()?;
        let folder = TempDir::with_prefix("serin-pg-").map_err(Error::io("a temporary folder"))?;
        user.own(folder.path())?;
        let cluster = Self {
            installation: installation.clone(),
            user,
            folder,
            port: free_port()?,
            settings: settings.clone(),
            process: Mutex::new(None),
        };
        cluster.initialise()?;
        cluster.resume()?;
        Ok(cluster)
    }

    /// Starts a replica of this server, which reads what it can while it follows.
    ///
    /// # Errors
    /// When its programs fail or it does not answer.
    pub fn standby(&self, settings: &Settings) -> Result<Self, Error> {
        let folder = TempDir::with_prefix("serin-pg-").map_err(Error::io("a temporary folder"))?;
        self.user.own(folder.path())?;
        let cluster = Self {
            installation: self.installation.clone(),
            user: self.user,
            folder,
            port: free_port()?,
            settings: settings.clone(),
            process: Mutex::new(None),
        };
        if self.installation.program("pg_basebackup").is_file() {
            self.copy_to(&cluster)?;
        } else {
            self.copy_at_rest(&cluster)?;
        }
        cluster.configure()?;
        cluster.resume()?;
        Ok(cluster)
    }

    fn copy_to(&self, standby: &Self) -> Result<(), Error> {
        let mut copy = self.user.command(&self.installation.program("pg_basebackup"));
        copy.args(["-R", "-c", "fast", "-h", "127.0.0.1", "-U", "postgres", "-p"]);
        copy.arg(self.port.to_string()).arg("-D").arg(standby.data());
        copy.current_dir(standby.folder.path());
        let child = copy.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        finished("pg_basebackup", child.map_err(Error::io("starting pg_basebackup"))?).map(drop)
    }

    /// The same for packages without that program: the server is down while its files are copied.
    fn copy_at_rest(&self, standby: &Self) -> Result<(), Error> {
        self.stop();
        let mut copy = self.user.command(Path::new("cp"));
        copy.arg("-a").arg(self.data()).arg(standby.data()).current_dir(standby.folder.path());
        let child = copy.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        finished("cp", child.map_err(Error::io("starting cp"))?)?;
        self.resume()?;
        standby.lay(&standby.data().join("standby.signal"), "")?;
        let from =
            format!("primary_conninfo = 'host=127.0.0.1 port={} user=postgres'\n", self.port);
        standby.lay(&standby.data().join("postgresql.auto.conf"), &from)
    }

    /// What it was started from.
    pub fn installation(&self) -> &Installation {
        &self.installation
    }

    pub(crate) fn user(&self) -> User {
        self.user
    }

    /// Its port on the loopback.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its data.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The address of one of its databases, for its owner.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// A new, empty database; its name.
    ///
    /// # Errors
    /// When the server refuses.
    pub fn database(&self) -> Result<String, Error> {
        let name = crate::unique_name("test");
        self.sql("postgres", &format!("CREATE DATABASE {name}"))?;
        Ok(name)
    }

    /// Runs SQL in a database with `psql`; what it printed, without headings.
    ///
    /// # Errors
    /// What Postgres said.
    pub fn sql(&self, database: &str, sql: &str) -> Result<String, Error> {
        self.sql_at(&self.url(database), sql)
    }

    /// The same at another address, such as that of a pooler.
    ///
    /// # Errors
    /// What Postgres said.
    pub fn sql_at(&self, url: &str, sql: &str) -> Result<String, Error> {
        let mut psql = Command::new(self.client("psql"));
        psql.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", url, "-f", "-"]);
        let child =
            psql.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = child.map_err(Error::io("starting psql"))?;
        let written = child.stdin.take().map(|mut pipe| pipe.write_all(sql.as_bytes()));
        written.transpose().map_err(Error::io("writing to psql"))?;
        finished("psql", child)
    }

    /// Kills the server as a power cut would; its data stays.
    pub fn kill(&self) {
        let Some(mut child) = self.taken() else { return };
        keep(&mut child);
        // The processes of connections see the end of their parent and go.
        let _ = child.kill();
        let _ = child.wait();
    }

    /// Starts the server again on the same data and port.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn resume(&self) -> Result<(), Error> {
        let log = fs::File::create(self.log()).map_err(Error::io("the log of Postgres"))?;
        let errors = log.try_clone().map_err(Error::io("the log of Postgres"))?;
        let mut server = self.user.command(Path::new("sh"));
        server.arg("-c").arg(STARTED).arg(self.installation.program("postgres"));
        server.arg(self.folder.path()).stdin(Stdio::piped()).stdout(log).stderr(errors);
        let until = Instant::now() + START;
        loop {
            let child = server.spawn().map_err(Error::io("starting postgres"))?;
            if self.answers(child, until)? {
                return Ok(());
            }
        }
    }

    /// Whether the child answers; not when it ended because the processes of a killed one still
    /// hold its memory.
    fn answers(&self, mut child: Child, until: Instant) -> Result<bool, Error> {
        while Instant::now() < until {
            if TcpStream::connect(("127.0.0.1", self.port)).is_ok() && self.is_ready() {
                *self.process.lock().unwrap_or_else(std::sync::PoisonError::into_inner) =
                    Some(child);
                return Ok(true);
            }
            if child.try_wait().map_err(Error::io("waiting for postgres"))?.is_some() {
                // Else what waits beside it would take the folder away from the next try.
                keep(&mut child);
                std::thread::sleep(LOOK);
                return Ok(false);
            }
            std::thread::sleep(LOOK);
        }
        let _ = child.kill();
        let _ = child.wait();
        Err(Error::Silent { seconds: START.as_secs(), log: self.end_of_log() })
    }

    fn is_ready(&self) -> bool {
        self.sql("postgres", "SELECT 1").is_ok()
    }

    /// Ends the server in an orderly way.
    pub fn stop(&self) {
        let Some(mut child) = self.taken() else { return };
        keep(&mut child);
        let mut stop = self.user.command(&self.installation.program("pg_ctl"));
        stop.args(["stop", "-m", "immediate", "-D"]).arg(self.data());
        let _ = stop.stdout(Stdio::null()).stderr(Stdio::null()).status();
        let until = Instant::now() + END;
        while Instant::now() < until && matches!(child.try_wait(), Ok(None)) {
            std::thread::sleep(LOOK);
        }
        let _ = child.kill();
        let _ = child.wait();
    }

    fn taken(&self) -> Option<Child> {
        self.process.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take()
    }

    fn initialise(&self) -> Result<(), Error> {
        let mut init = self.user.command(&self.installation.program("initdb"));
        init.args(["--no-sync", "--no-instructions", "-U", "postgres", "-E", "UTF8"]);
        init.args(["--locale", "C", "-A", "trust", "-D"]).arg(self.data());
        init.current_dir(self.folder.path());
        let child = init.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        finished("initdb", child.map_err(Error::io("starting initdb"))?)?;
        self.configure()
    }

    /// Adds its settings; the last one of a name counts.
    fn configure(&self) -> Result<(), Error> {
        for (name, content) in &self.settings.files {
            self.lay(&self.data().join(name), content)?;
        }
        let mut file = fs::OpenOptions::new()
            .append(true)
            .open(self.data().join("postgresql.conf"))
            .map_err(Error::io("postgresql.conf"))?;
        file.write_all(self.configuration().as_bytes()).map_err(Error::io("postgresql.conf"))
    }

    fn lay(&self, path: &Path, content: &str) -> Result<(), Error> {
        let what = || format!("{}", path.display());
        // One that initdb made is not this process's to open anew with another mode.
        let _ = fs::remove_file(path);
        let mut options = fs::OpenOptions::new();
        let file = options.write(true).create_new(true).mode(0o600).open(path);
        let mut file = file.map_err(Error::io(what()))?;
        file.write_all(content.as_bytes()).map_err(Error::io(what()))?;
        self.user.own(path)
    }

    fn configuration(&self) -> String {
        let mut lines = vec![
            "listen_addresses = '127.0.0.1'".to_owned(),
            format!("port = {}", self.port),
            format!("unix_socket_directories = '{}'", self.folder.path().display()),
            "max_connections = 200".to_owned(),
            "max_prepared_transactions = 10".to_owned(),
            "max_wal_size = '4GB'".to_owned(),
            "log_min_messages = warning".to_owned(),
        ];
        if self.settings.durability == Durability::Fast {
            lines.extend(
                ["fsync = off", "synchronous_commit = off", "full_page_writes = off"]
                    .map(String::from),
            );
        }
        let quoted = |(key, value): &(String, String)| format!("{key} = '{value}'");
        lines.extend(self.settings.parameters.iter().map(quoted));
        lines.join("\n") + "\n"
    }

    /// A client program: its own where it has it, else one on the path.
    pub fn client(&self, name: &str) -> PathBuf {
        let own = self.installation.program(name);
        if own.is_file() { own } else { Path::new(name).to_owned() }
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    fn end_of_log(&self) -> String {
        let text = fs::read_to_string(self.log()).unwrap_or_default();
        tail(&text)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The folder stays when the server has ended.
pub(crate) fn keep(server: &mut Child) {
    if let Some(mut pipe) = server.stdin.take() {
        let _ = pipe.write_all(b"keep\n");
    }
}

/// What a program printed, once it ended well.
fn finished(name: &str, mut child: Child) -> Result<String, Error> {
    let (mut out, mut said) = (String::new(), String::new());
    let errors = child.stderr.take();
    let reader = std::thread::spawn(move || {
        errors.map(|mut pipe| pipe.read_to_string(&mut said));
        said
    });
    let read = child.stdout.take().map(|mut pipe| pipe.read_to_string(&mut out));
    read.transpose().map_err(Error::io(format!("reading from {name}")))?;
    let status = child.wait().map_err(Error::io(format!("waiting for {name}")))?;
    let said = reader.join().unwrap_or_default();
    if status.success() {
        return Ok(out.trim_end().to_owned());
    }
    Err(Error::Program { program: name.into(), said: tail(&said) })
}

fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.trim().lines().rev().take(6).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join(" | ")
}

pub(crate) fn free_port() -> Result<u16, Error> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(Error::io("a free port"))?;
    listener.local_addr().map(|address| address.port()).map_err(Error::io("a free port"))
}
