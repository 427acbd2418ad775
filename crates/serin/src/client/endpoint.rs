//! Where the server is.

use crate::failure::Failure;
use std::env;
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

/// Name of the API's socket in the data directory.
pub const SOCKET: &str = "serin.sock";

/// An address of the API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// A socket of this machine.
    Unix(PathBuf),
    /// `host:port`, plain HTTP.
    Tcp(String),
}

impl Endpoint {
    /// Reads `unix:/path` or `http://host:port`.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        if let Some(path) = text.strip_prefix("unix:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return Ok(Self::Unix(PathBuf::from(path)));
        }
        let host = text.strip_prefix("http://").map(|rest| rest.trim_end_matches('/'));
        match host {
            Some(host) if has_port(host) => Ok(Self::Tcp(host.to_owned())),
            _ => Err(unreadable(text)),
        }
    }

    /// Whether it is on this machine for certain.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Unix(_) => true,
            Self::Tcp(host) => {
                let name = host.rsplit_once(':').map_or(host.as_str(), |(name, _)| name);
                let name = name.trim_matches(['[', ']']);
                name == "localhost" || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
            }
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp(host) => write!(f, "http://{host}"),
        }
    }
}

fn has_port(host: &str) -> bool {
    let port =
        host.rsplit_once(':').and_then(|(name, port)| Some((name, port.parse::<u16>().ok()?)));
    port.is_some_and(|(name, port)| !name.is_empty() && port != 0 && !name.contains('/'))
}

fn unreadable(text: &str) -> Failure {
    let message = format!("`{text}` is not an address of a server");
    let hint = if text.starts_with("https://") {
        "Serin speaks plain HTTP: tunnel it, for example with `ssh -L`, and use http://127.0.0.1:PORT"
    } else {
        "write `unix:/path/serin.sock` or `http://127.0.0.1:PORT`"
    };
    Failure::usage("bad-server", message).hint(hint)
}

/// The data directory unless one was named: `$XDG_STATE_HOME/serin`, else `~/.local/state/serin`;
/// for root `/var/lib/serin`.
pub fn default_data_dir() -> Result<PathBuf, Failure> {
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if rustix::process::geteuid().is_root() {
        return Ok(PathBuf::from("/var/lib/serin"));
    }
    let state = set("XDG_STATE_HOME").filter(|path| path.is_absolute());
    let state = state.or_else(|| set("HOME").map(|home| home.join(".local/state")));
    state.map(|path| path.join("serin")).ok_or_else(|| {
        Failure::usage("no-data-dir", "neither HOME nor XDG_STATE_HOME is set")
            .hint("name a data directory with --data-dir DIR")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let unix = Endpoint::parse("unix:/run/serin.sock").unwrap();
        assert_eq!(unix, Endpoint::Unix("/run/serin.sock".into()));
        assert!(unix.is_local());
        let tcp = Endpoint::parse("http://127.0.0.1:7171/").unwrap();
        assert_eq!(tcp.to_string(), "http://127.0.0.1:7171");
    }

    #[test]
    fn only_this_machine_is_local() {
        let local = |text| Endpoint::parse(text).unwrap().is_local();
        let here = ["http://127.0.0.1:1", "http://localhost:1", "http://[::1]:1"];
        assert!(here.into_iter().all(local));
        let elsewhere = ["http://10.0.0.1:1", "http://127.0.0.1.example.com:1"];
        assert!(!elsewhere.into_iter().any(local));
    }

    #[test]
    fn what_is_no_address_says_what_is() {
        for text in ["127.0.0.1:7171", "http://host", "http://:80", "https://host:1", ""] {
            let failure = Endpoint::parse(text).unwrap_err();
            assert_eq!(failure.exit.code(), 2, "{text}");
            assert!(failure.hint.is_some_and(|hint| hint.contains("http://127.0.0.1")), "{text}");
        }
    }
}
