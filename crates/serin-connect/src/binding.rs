//! What ties a login to the server's certificate: `tls-server-end-point` of RFC 5929, 4.1.

use sha2::{Digest, Sha256, Sha384, Sha512};

/// The hash that the certificate's own signature was made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hash {
    Sha256,
    Sha384,
    Sha512,
}

/// Algorithms of signatures whose hash is known: the bytes of their identifiers. MD5 and SHA-1
/// become SHA-256, as the RFC says.
const SIGNATURES: &[(&[u8], Hash)] = &[
    // RSA (1.2.840.113549.1.1): with MD5, SHA-1, SHA-256, SHA-384, SHA-512.
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 4], Hash::Sha256),
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 5], Hash::Sha256),
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 11], Hash::Sha256),
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 12], Hash::Sha384),
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 13], Hash::Sha512),
    // ECDSA (1.2.840.10045.4): with SHA-1, SHA-256, SHA-384, SHA-512.
    (&[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 1], Hash::Sha256),
    (&[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2], Hash::Sha256),
    (&[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 3], Hash::Sha384),
    (&[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 4], Hash::Sha512),
];

/// The hash of a certificate (DER). `None` where its signature has no hash of its own, as Ed25519,
/// or one that is told in its parameters, as RSA-PSS: the login is not bound then.
pub(crate) fn end_point(certificate: &[u8]) -> Option<Vec<u8>> {
    let algorithm = signature(certificate)?;
    let (_, hash) = SIGNATURES.iter().find(|(identifier, _)| *identifier == algorithm)?;
    Some(match hash {
        Hash::Sha256 => Sha256::digest(certificate).to_vec(),
        Hash::Sha384 => Sha384::digest(certificate).to_vec(),
        Hash::Sha512 => Sha512::digest(certificate).to_vec(),
    })
}

const SEQUENCE: u8 = 0x30;
const IDENTIFIER: u8 = 0x06;

/// The identifier of the algorithm it is signed with: RFC 5280, 4.1, `signatureAlgorithm`.
fn signature(certificate: &[u8]) -> Option<&[u8]> {
    let (body, _) = element(certificate, SEQUENCE)?;
    let (_signed, after) = element(body, SEQUENCE)?;
    let (algorithm, _) = element(after, SEQUENCE)?;
    element(algorithm, IDENTIFIER).map(|(identifier, _)| identifier)
}

/// The inside of a DER element of this kind, and what follows it.
fn element(bytes: &[u8], kind: u8) -> Option<(&[u8], &[u8])> {
    let (&[found, length], after) = bytes.split_first_chunk::<2>()?;
    if found != kind {
        return None;
    }
    let (length, after) = match length {
        0..=0x7f => (usize::from(length), after),
        // The low bits say how many bytes hold the length.
        0x81..=0x84 => {
            let (digits, after) = after.split_at_checked(usize::from(length & 0x7f))?;
            (digits.iter().fold(0, |sum, &digit| sum << 8 | usize::from(digit)), after)
        }
        _ => return None,
    };
    after.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rcgen::{CertificateParams, KeyPair};

    fn made(algorithm: &'static rcgen::SignatureAlgorithm) -> Vec<u8> {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let params = CertificateParams::new(vec!["db.test".to_owned()]).unwrap();
        params.self_signed(&key).unwrap().der().to_vec()
    }

    #[test]
    fn the_signature_chooses_the_hash() {
        let cases = [
            (&rcgen::PKCS_ECDSA_P256_SHA256, Some(32)),
            (&rcgen::PKCS_ECDSA_P384_SHA384, Some(48)),
            (&rcgen::PKCS_ED25519, None),
        ];
        for (algorithm, bytes) in cases {
            let hash = end_point(&made(algorithm));
            assert_eq!(hash.map(|hash| hash.len()), bytes, "{algorithm:?}");
        }
    }

    #[test]
    fn what_is_cut_short_has_no_hash() {
        let whole = made(&rcgen::PKCS_ECDSA_P256_SHA256);
        for length in 0..whole.len() {
            assert_eq!(end_point(&whole[..length]), None, "{length} bytes");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_strange(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = end_point(&bytes);
            let inside = [&[SEQUENCE, 0x82][..], &bytes].concat();
            let _ = end_point(&inside);
        }
    }
}
