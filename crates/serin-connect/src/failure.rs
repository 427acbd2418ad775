//! Why there is no connection, and what to do about it.

use rustls::{AlertDescription, CertificateError, Error as Tls};
use std::error::Error;
use std::io;
use tokio_postgres::error::SqlState;

/// What is wrong with an address. Shows nothing of it but names of files.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Flaw(String);

impl Flaw {
    pub(crate) fn new(said: impl Into<String>) -> Self {
        Self(said.into())
    }
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// It could not be made as safe as was asked; trying again does not help.
    #[error("{0}")]
    Tls(String),
    /// The server cannot be reached, or lets nobody in.
    #[error("{}", said(.0))]
    Database(tokio_postgres::Error),
}

/// The database's own words, which the driver keeps one level down.
pub(crate) fn said(error: &tokio_postgres::Error) -> String {
    match (error.as_db_error(), error.source()) {
        (Some(db), _) => format!("{} (SQLSTATE {})", db.message(), db.code().code()),
        (None, Some(source)) => format!("{error}: {source}"),
        (None, None) => error.to_string(),
    }
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Self {
        match explained(&error) {
            Some(said) => Self::Tls(said),
            None => Self::Database(error),
        }
    }
}

impl Failure {
    /// Whether the other way, with TLS or without, may be let in.
    pub(crate) fn may_pass_otherwise(&self) -> bool {
        match self {
            Self::Tls(_) => true,
            Self::Database(error) => {
                error.code() == Some(&SqlState::INVALID_AUTHORIZATION_SPECIFICATION)
            }
        }
    }
}

fn explained(error: &tokio_postgres::Error) -> Option<String> {
    if let Some(db) = error.as_db_error() {
        return refused(db.code(), db.message());
    }
    if let Some(tls) = of_tls(error) {
        return Some(advice(tls));
    }
    let source = error.source()?.to_string();
    (source == "server does not support TLS").then(|| {
        "the server does not speak TLS: set `ssl = on` there, or say sslmode=disable if nobody else \
         is on the way to it"
            .to_owned()
    })
}

/// What only TLS would mend, of what the server itself said.
fn refused(code: &SqlState, message: &str) -> Option<String> {
    // PgBouncer's way to say it.
    let by_pooler = *code == SqlState::PROTOCOL_VIOLATION && message == "SSL required";
    if *code != SqlState::INVALID_AUTHORIZATION_SPECIFICATION && !by_pooler {
        return None;
    }
    let todo = if by_pooler || message.contains("no encryption") {
        "if it lets in connections with TLS only, say sslmode=require, or better verify-full"
    } else if message.contains("client certificate") {
        CLIENT
    } else {
        return None;
    };
    Some(format!("{message}: {todo}"))
}

const CLIENT: &str = "name one that the server trusts with sslcert=FILE and sslkey=FILE";

/// The error of TLS below an error of the driver.
fn of_tls(error: &tokio_postgres::Error) -> Option<&Tls> {
    let mut next: Option<&(dyn Error + 'static)> = error.source();
    while let Some(error) = next {
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        let inner = inner.and_then(|inner| inner.downcast_ref());
        if let Some(tls) = inner.or_else(|| error.downcast_ref()) {
            return Some(tls);
        }
        next = error.source();
    }
    None
}

fn advice(error: &Tls) -> String {
    match error {
        Tls::InvalidCertificate(why) => certificate(why),
        Tls::AlertReceived(alert) if is_about_us(*alert) => {
            format!("the server does not accept this client's certificate ({alert:?}): {CLIENT}")
        }
        other => format!(
            "the handshake of TLS failed: {other}; see that the server speaks TLS 1.2 or 1.3, and \
             that nothing between changes what it says"
        ),
    }
}

fn is_about_us(alert: AlertDescription) -> bool {
    matches!(
        alert,
        AlertDescription::CertificateRequired
            | AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
    )
}

fn certificate(why: &CertificateError) -> String {
    match why {
        CertificateError::UnknownIssuer => {
            "the server's certificate is signed by nobody trusted here: get the file of your \
             provider's authorities and name it with sslrootcert=FILE, or say sslrootcert=system if \
             this machine trusts who signed it"
                .to_owned()
        }
        CertificateError::NotValidForNameContext { expected, presented } => format!(
            "the server's certificate is for {}, not for {}: connect by a name it is for, or say \
             sslmode=verify-ca, which does not look at the name",
            listed(presented),
            expected.to_str(),
        ),
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "the server's certificate has expired: renew it there, and see that this machine's clock \
             is right"
                .to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "the server's certificate is not valid yet: see that the clocks of both machines are right"
                .to_owned()
        }
        other => format!(
            "the server's certificate is refused: {other}; have a new one made (X.509 version 3, for \
             the server's name, signed by one of the authorities in sslrootcert)"
        ),
    }
}

/// The names in a certificate, without the words of the library around them.
fn listed(names: &[String]) -> String {
    let bare = |name: &String| match name.split_once('(') {
        Some((_, inner)) => inner.trim_end_matches(')').trim_matches('"').to_owned(),
        None => name.clone(),
    };
    let names: Vec<String> = names.iter().map(bare).collect();
    if names.is_empty() {
        return "no name (a common name does not count)".to_owned();
    }
    names.join(", ")
}
