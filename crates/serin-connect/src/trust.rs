//! Whose certificates are accepted, and this client's own.

use crate::Flaw;
use crate::options::Root;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Whom to trust.
#[derive(Debug)]
pub(crate) enum Trust {
    /// Whoever answers.
    Anyone,
    /// Whom one of these signed.
    Signed(Authorities),
    /// And who has the name that was asked for.
    Named(Authorities),
}

/// Authorities, as certificates.
#[derive(Debug)]
pub(crate) struct Authorities {
    store: RootCertStore,
    certificates: Vec<CertificateDer<'static>>,
}

/// Where systems keep whom they trust; the first that is there counts.
const BUNDLES: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// The file that says whom this machine trusts; `SSL_CERT_FILE` names another.
pub(crate) fn system_bundle() -> Option<PathBuf> {
    let named = std::env::var_os("SSL_CERT_FILE").filter(|path| !path.is_empty());
    let known = || BUNDLES.iter().map(PathBuf::from).find(|path| path.is_file());
    named.map(PathBuf::from).or_else(known)
}

impl Authorities {
    /// Reads them.
    pub(crate) fn read(root: &Root) -> Result<Self, Flaw> {
        match root {
            Root::File(path) => Self::from_file(path),
            Root::System => {
                let bundle = system_bundle().ok_or_else(|| {
                    Flaw::new(
                        "`sslrootcert=system`: this machine has no file of certificates that it \
                         trusts; install ca-certificates, or name one with SSL_CERT_FILE",
                    )
                })?;
                Self::from_file(&bundle)
            }
        }
    }

    fn from_file(path: &Path) -> Result<Self, Flaw> {
        let certificates = certificates("sslrootcert", path)?;
        let mut store = RootCertStore::empty();
        // Some in a system's file may be of a kind that nobody can use.
        let (taken, _) = store.add_parsable_certificates(certificates.iter().cloned());
        if taken == 0 {
            return Err(unreadable("sslrootcert", path, "none of its certificates can be used"));
        }
        Ok(Self { store, certificates })
    }
}

/// The certificates in a file; there is at least one.
fn certificates(option: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>, Flaw> {
    let all = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    let all: Vec<_> = all.map_err(|error| unreadable(option, path, error))?;
    if all.is_empty() {
        return Err(unreadable(option, path, "it holds no certificate in PEM form"));
    }
    Ok(all)
}

/// This client's own certificates and key.
pub(crate) fn identity(
    certificate: &Path,
    key: &Path,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), Flaw> {
    let chain = certificates("sslcert", certificate)?;
    let key = PrivateKeyDer::from_pem_file(key).map_err(|error| {
        unreadable("sslkey", key, format!("{error}; it must be PEM and not encrypted"))
    })?;
    Ok((chain, key))
}

fn unreadable(option: &str, path: &Path, why: impl std::fmt::Display) -> Flaw {
    Flaw::new(format!("`{option}`: `{}` cannot be used: {why}", path.display()))
}

/// Checks a server's certificate.
#[derive(Debug)]
pub(crate) struct Verifier {
    pub(crate) trust: Trust,
    pub(crate) provider: Arc<CryptoProvider>,
}

impl Verifier {
    fn signed(
        &self,
        authorities: &Authorities,
        shown: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        let known = self.provider.signature_verification_algorithms.all;
        let parsed = ParsedCertificate::try_from(shown)?;
        let store = &authorities.store;
        let checked =
            verify_server_cert_signed_by_trust_anchor(&parsed, store, between, now, known);
        match checked {
            Err(error)
                if is_authority_itself(&error) && authorities.certificates.contains(shown) =>
            {
                Ok(())
            }
            other => other,
        }
    }
}

/// A certificate that was made with `openssl req -x509` is an authority's and a server's at once.
/// The library refuses that, after it has looked at its dates; when this very certificate is one of
/// those that are trusted, nothing else is left to be asked.
fn is_authority_itself(error: &Error) -> bool {
    let Error::InvalidCertificate(CertificateError::Other(other)) = error else { return false };
    matches!(other.0.downcast_ref(), Some(webpki::Error::CaUsedAsEndEntity))
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _stapled: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match &self.trust {
            Trust::Anyone => {}
            Trust::Signed(authorities) => self.signed(authorities, shown, between, now)?,
            Trust::Named(authorities) => {
                self.signed(authorities, shown, between, now)?;
                verify_server_name(&ParsedCertificate::try_from(shown)?, name)?;
            }
        }
        Ok(ServerCertVerified::assertion())
    }

    // Also where anyone is trusted: a login that is bound to a certificate is only worth something
    // when the server has the key to it.
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, shown, signature, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, shown, signature, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
