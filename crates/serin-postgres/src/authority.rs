//! Certificates made for a test, and what a server needs to speak TLS with them.

use crate::{Error, Settings};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Who signs certificates, with its own in a file.
#[derive(Debug)]
pub struct Authority {
    folder: TempDir,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key, PEM.
#[derive(Clone)]
pub struct Signed {
    /// The certificate.
    pub certificate: String,
    /// Its key.
    pub key: String,
}

/// Without the key.
impl std::fmt::Debug for Signed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Signed")
    }
}

/// What a certificate is to say.
#[derive(Debug, Clone, Copy, Default)]
pub struct Subject<'a> {
    /// Its common name: for a client, its role.
    pub name: &'a str,
    /// The hosts it is for.
    pub hosts: &'a [&'a str],
    /// Its time is over.
    pub expired: bool,
}

impl Subject<'_> {
    fn parameters(&self) -> Result<CertificateParams, Error> {
        let hosts: Vec<String> = self.hosts.iter().map(ToString::to_string).collect();
        let mut parameters = CertificateParams::new(hosts)?;
        parameters.distinguished_name.push(DnType::CommonName, self.name);
        if self.expired {
            parameters.not_before = date_time_ymd(2001, 1, 1);
            parameters.not_after = date_time_ymd(2002, 1, 1);
        }
        Ok(parameters)
    }
}

impl Authority {
    /// A new one.
    ///
    /// # Errors
    /// When its file cannot be written.
    pub fn new(name: &str) -> Result<Self, Error> {
        let mut parameters = Subject { name, ..Subject::default() }.parameters()?;
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate()?;
        let own = parameters.self_signed(&key)?;
        let folder = TempDir::with_prefix("serin-ca-").map_err(Error::io("a temporary folder"))?;
        write(&folder.path().join("ca.pem"), &own.pem())?;
        Ok(Self { folder, issuer: Issuer::new(parameters, key) })
    }

    /// The file with its certificate.
    pub fn file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// Signs a new certificate.
    ///
    /// # Errors
    /// When none can be made.
    pub fn sign(&self, subject: &Subject<'_>) -> Result<Signed, Error> {
        let key = KeyPair::generate()?;
        let certificate = subject.parameters()?.signed_by(&key, &self.issuer)?;
        Ok(Signed { certificate: certificate.pem(), key: key.serialize_pem() })
    }

    /// Files with a new certificate and key, which last as long as this does.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn client(&self, name: &str) -> Result<(PathBuf, PathBuf), Error> {
        let signed = self.sign(&Subject { name, ..Subject::default() })?;
        let at = |end: &str| self.folder.path().join(format!("{name}.{end}"));
        write(&at("crt"), &signed.certificate)?;
        write(&at("key"), &signed.key)?;
        Ok((at("crt"), at("key")))
    }

    /// Settings of a server with this certificate that asks clients for one of this authority.
    /// `rules` is its `pg_hba.conf`, which must let `postgres` in from the loopback.
    ///
    /// # Errors
    /// When the authority's own file is gone.
    pub fn settings(&self, signed: &Signed, rules: &str) -> Result<Settings, Error> {
        let own = fs::read_to_string(self.file()).map_err(Error::io("an authority's file"))?;
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let parameters = vec![
            pair("ssl", "on"),
            pair("ssl_cert_file", "its.crt"),
            pair("ssl_key_file", "its.key"),
            pair("ssl_ca_file", "clients.crt"),
        ];
        let files = vec![
            pair("its.crt", &signed.certificate),
            pair("its.key", &signed.key),
            pair("clients.crt", &own),
            pair("pg_hba.conf", rules),
        ];
        Ok(Settings { parameters, files, ..Settings::default() })
    }
}

/// An authority's and a server's certificate at once, as `openssl req -x509` makes them.
///
/// # Errors
/// When none can be made.
pub fn self_signed(subject: &Subject<'_>) -> Result<Signed, Error> {
    let mut parameters = subject.parameters()?;
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate()?;
    let own = parameters.self_signed(&key)?;
    Ok(Signed { certificate: own.pem(), key: key.serialize_pem() })
}

fn write(path: &Path, text: &str) -> Result<(), Error> {
    fs::write(path, text).map_err(Error::io(format!("{}", path.display())))
}
