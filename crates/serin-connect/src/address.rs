//! Where a database is, and how safely to get there.

use crate::environment::Environment;
use crate::options::{Mode, Options, Root};
use crate::settings::Settings;
use crate::stream::Connector;
use crate::trust::{Authorities, Trust, Verifier, identity, system_bundle};
use crate::{Failure, Flaw};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::error::Error;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use tokio_postgres::config::{ChannelBinding, Host, SslMode, SslNegotiation};
use tokio_postgres::{Client, Config, NoTls};

/// Where a database is, and how safely to get there. Files of certificates are read once, when it
/// is made.
#[derive(Clone)]
pub struct Address {
    config: Config,
    mode: Mode,
    tls: Option<Connector>,
    /// For programs of Postgres.
    files: Files,
}

/// What TLS takes from files.
#[derive(Clone, Default)]
struct Files {
    root: Option<Root>,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
}

/// Without the password.
impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = self.config.get_dbname().unwrap_or_default();
        f.debug_struct("Address")
            .field("database", &name)
            .field("sslmode", &self.mode)
            .finish_non_exhaustive()
    }
}

impl Address {
    /// Reads `postgres://user@host:5432/name?sslmode=verify-full`, or
    /// `host=.. dbname=.. sslmode=..`.
    ///
    /// As for libpq, `sslmode` is `prefer` unless said, `require` looks at the certificate when
    /// there is a file of authorities, and `~/.postgresql/root.crt` is that file unless
    /// `sslrootcert` names another.
    ///
    /// # Errors
    /// What is wrong with it, or with a file it names.
    pub fn parse(text: &str) -> Result<Self, Flaw> {
        let home = std::env::var_os("HOME").filter(|home| !home.is_empty());
        Self::of(Settings::read(text)?, home.as_deref().map(Path::new))
    }

    /// The same, and what it leaves out is taken from the environment and from its password file,
    /// as `psql` does: for commands that a person gives. A server must not use it, for a variable
    /// that strays into its environment would change where its connections go.
    ///
    /// # Errors
    /// As [`Self::parse`], and for a password file that others may read.
    pub fn parse_in(text: &str, environment: &Environment) -> Result<Self, Flaw> {
        let mut settings = Settings::read(text)?;
        environment.fill(&mut settings)?;
        let filled = settings.filled().to_vec();
        let address = Self::of(settings, environment.home());
        address.map_err(|flaw| blamed(&filled, flaw))
    }

    fn of(settings: Settings, home: Option<&Path>) -> Result<Self, Flaw> {
        let options = Options::of(settings)?;
        let mut config = driver(&options.rest.into_pairs()?)?;
        let files =
            Files { certificate: options.certificate, key: options.key, root: options.root };
        let mode = options.mode.unwrap_or(match files.root {
            Some(Root::System) => Mode::VerifyFull,
            _ => Mode::Prefer,
        });
        let files = files.with_defaults(mode, home);
        let local = is_local(&config);
        let tls = if local || mode == Mode::Disable { None } else { Some(tls(mode, &files)?) };
        if config.get_ssl_negotiation() == SslNegotiation::Direct && mode < Mode::Require {
            return Err(Flaw::new("`sslnegotiation=direct` needs sslmode=require or more"));
        }
        name_hosts(&mut config);
        if tls.as_ref().is_some_and(|tls| tls.named) {
            check_names(&config)?;
        }
        Ok(Self { config, mode, tls, files })
    }

    /// What the driver is told.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The same with other settings of the session, such as its name.
    #[must_use]
    pub fn with(&self, set: impl FnOnce(&mut Config)) -> Self {
        let mut address = self.clone();
        set(&mut address.config);
        address
    }

    /// Connects. The connection ends with the client; how it ended is what the client's next call
    /// says. Needs a runtime of tokio around it.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn connect(&self) -> Result<Client, Failure> {
        let Some(tls) = &self.tls else {
            return self.plainly().await;
        };
        match self.mode {
            Mode::Allow => match self.plainly().await {
                Err(failure) if failure.may_pass_otherwise() => {
                    self.safely(tls, SslMode::Require).await.map_err(|_| failure)
                }
                done => done,
            },
            Mode::Prefer => match self.safely(tls, SslMode::Prefer).await {
                Err(failure) if failure.may_pass_otherwise() => {
                    self.plainly().await.map_err(|_| failure)
                }
                done => done,
            },
            _ => self.safely(tls, SslMode::Require).await,
        }
    }

    async fn plainly(&self) -> Result<Client, Failure> {
        let mut config = self.config.clone();
        let connecting = config.ssl_mode(SslMode::Disable).connect(NoTls);
        let (client, connection) = Box::pin(connecting).await?;
        tokio::spawn(connection);
        Ok(client)
    }

    async fn safely(&self, tls: &Connector, mode: SslMode) -> Result<Client, Failure> {
        let mut config = self.config.clone();
        // A handshake is large, and would be part of every future that waits for a connection.
        let connecting = config.ssl_mode(mode).connect(tls.clone());
        let (client, connection) = Box::pin(connecting).await?;
        tokio::spawn(connection);
        Ok(client)
    }

    /// The same for a program of Postgres, such as `pg_dump`, as variables of its environment.
    pub fn set_for(&self, program: &mut Command) {
        for name in ELSEWHERE {
            program.env_remove(name);
        }
        program.envs(self.variables());
    }

    fn variables(&self) -> Vec<(&'static str, OsString)> {
        let config = &self.config;
        let mut set: Vec<(&str, OsString)> = vec![("PGSSLMODE", self.mode.word().into())];
        match config.get_hosts().first() {
            Some(Host::Tcp(host)) => set.push(("PGHOST", host.into())),
            #[cfg(unix)]
            Some(Host::Unix(path)) => set.push(("PGHOST", path.into())),
            None => {}
        }
        let address = config.get_hostaddrs().first();
        set.extend(address.map(|address| ("PGHOSTADDR", address.to_string().into())));
        set.extend(config.get_ports().first().map(|port| ("PGPORT", port.to_string().into())));
        set.extend(config.get_user().map(|user| ("PGUSER", user.into())));
        set.extend(config.get_dbname().map(|name| ("PGDATABASE", name.into())));
        let password =
            config.get_password().map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        set.extend(password.map(|password| ("PGPASSWORD", password.into())));
        set.extend(
            binding(config.get_channel_binding()).map(|word| ("PGCHANNELBINDING", word.into())),
        );
        set.extend(self.files.environment());
        set
    }
}

/// What would lead a program elsewhere, or by another way, than this address.
const ELSEWHERE: [&str; 13] = [
    "PGSERVICE",
    "PGHOST",
    "PGHOSTADDR",
    "PGPORT",
    "PGUSER",
    "PGDATABASE",
    "PGPASSWORD",
    "PGSSLROOTCERT",
    "PGSSLCERT",
    "PGSSLKEY",
    "PGSSLNEGOTIATION",
    "PGCHANNELBINDING",
    "PGTARGETSESSIONATTRS",
];

fn binding(wanted: ChannelBinding) -> Option<&'static str> {
    match wanted {
        ChannelBinding::Disable => Some("disable"),
        ChannelBinding::Require => Some("require"),
        _ => None,
    }
}

/// What is wrong, with the variables that may be to blame.
#[allow(clippy::needless_pass_by_value)] // so that it can be given to `map_err`
fn blamed(filled: &[&str], flaw: Flaw) -> Flaw {
    if filled.is_empty() {
        return flaw;
    }
    Flaw::new(format!("{flaw} (what the address leaves out is from {})", filled.join(", ")))
}

/// The driver's own reading of the rest.
fn driver(rest: &str) -> Result<Config, Flaw> {
    rest.parse::<Config>().map_err(|error: tokio_postgres::Error| {
        let why = error.source().map_or_else(|| error.to_string(), ToString::to_string);
        Flaw::new(why)
    })
}

/// Only sockets of this machine, where nobody is in between: what libpq does not encrypt.
fn is_local(config: &Config) -> bool {
    let hosts = config.get_hosts();
    !hosts.is_empty() && hosts.iter().all(|host| !matches!(host, Host::Tcp(_)))
}

/// A host that was given by its address only has that for a name.
fn name_hosts(config: &mut Config) {
    if config.get_hosts().is_empty() {
        for address in config.get_hostaddrs().to_vec() {
            config.host(address.to_string());
        }
    }
}

/// A certificate must be able to have each name.
fn check_names(config: &Config) -> Result<(), Flaw> {
    for host in config.get_hosts() {
        let Host::Tcp(host) = host else { continue };
        ServerName::try_from(host.as_str()).map_err(|_| {
            Flaw::new(format!(
                "no certificate can be for the name `{host}`, which sslmode=verify-full asks for: \
                 say hostaddr=ADDRESS and the certificate's name as host, or sslmode=verify-ca"
            ))
        })?;
    }
    Ok(())
}

impl Files {
    /// With the file of authorities that libpq looks for by itself.
    fn with_defaults(mut self, mode: Mode, home: Option<&Path>) -> Self {
        if self.root.is_none() && mode >= Mode::Require {
            let usual = home.map(|home| home.join(".postgresql/root.crt"));
            self.root = usual.filter(|path| path.is_file()).map(Root::File);
        }
        self
    }

    fn environment(&self) -> impl Iterator<Item = (&'static str, OsString)> {
        let root = self.root.clone().map(|root| match root {
            Root::File(path) => path.into_os_string(),
            // Before Postgres 16 its programs do not know the word.
            Root::System => system_bundle().map_or_else(|| "system".into(), Into::into),
        });
        let named = |name, path: &Option<PathBuf>| path.clone().map(|path| (name, path.into()));
        let own = [named("PGSSLCERT", &self.certificate), named("PGSSLKEY", &self.key)];
        root.map(|root| ("PGSSLROOTCERT", root)).into_iter().chain(own.into_iter().flatten())
    }
}

/// What a handshake needs, from the files.
fn tls(mode: Mode, files: &Files) -> Result<Connector, Flaw> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let trust = trust(mode, files.root.as_ref())?;
    let verifier = Arc::new(Verifier { trust, provider: Arc::clone(&provider) });
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Flaw::new(error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut config = match (&files.certificate, &files.key) {
        (Some(certificate), Some(key)) => {
            let (chain, secret) = identity(certificate, key)?;
            config.with_client_auth_cert(chain, secret).map_err(|error| {
                Flaw::new(format!(
                    "`sslkey` does not belong to `sslcert`, or cannot be used: {error}"
                ))
            })?
        }
        (None, None) => config.with_no_client_auth(),
        _ => return Err(Flaw::new("`sslcert` and `sslkey` go together; name both, or none")),
    };
    // Asked for by `sslnegotiation=direct`, and what libpq itself says since Postgres 17.
    config.alpn_protocols = vec![b"postgresql".to_vec()];
    Ok(Connector { config: Arc::new(config), named: mode == Mode::VerifyFull })
}

fn trust(mode: Mode, root: Option<&Root>) -> Result<Trust, Flaw> {
    match (mode, root) {
        (_, Some(Root::System)) if mode < Mode::VerifyFull => Err(Flaw::new(format!(
            "`sslrootcert=system` trusts those who sign for anybody: it needs sslmode=verify-full, \
             not {}",
            mode.word()
        ))),
        (Mode::Disable | Mode::Allow | Mode::Prefer, _) | (Mode::Require, None) => {
            Ok(Trust::Anyone)
        }
        (Mode::Require | Mode::VerifyCa, Some(root)) => Ok(Trust::Signed(Authorities::read(root)?)),
        (Mode::VerifyFull, Some(root)) => Ok(Trust::Named(Authorities::read(root)?)),
        (Mode::VerifyCa | Mode::VerifyFull, None) => Err(Flaw::new(format!(
            "`sslmode={}` must know whom to trust: name the file of your provider's authorities with \
             sslrootcert=FILE, or say sslrootcert=system for those of this machine",
            mode.word()
        ))),
    }
}

#[cfg(test)]
#[path = "address_tests.rs"]
mod tests;
