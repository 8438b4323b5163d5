//! TLS with rustls, by libpq's rules: `require` encrypts, `verify-ca` and `verify-full` also check who
//! answers.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use postgres::config::SslMode;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::Settings;
use crate::failure::{Failure, Result};

/// Whether to ask for TLS, and whether to go on without.
pub(super) fn mode(settings: &Settings) -> Result<SslMode> {
    let system_roots = settings.get("sslrootcert") == Some("system");
    match settings.get("sslmode") {
        Some("disable") => Ok(SslMode::Disable),
        Some("require" | "verify-ca" | "verify-full") => Ok(SslMode::Require),
        None if system_roots => Ok(SslMode::Require),
        None | Some("prefer" | "allow") => Ok(SslMode::Prefer),
        Some(_) => {
            Err(Failure::usage("sslmode must be disable, allow, prefer, require, verify-ca or verify-full"))
        }
    }
}

/// The maker of TLS connections.
pub(super) fn connector(settings: &Settings) -> Result<MakeRustlsConnect> {
    let provider = Arc::new(ring::default_provider());
    let own_roots = settings.get("sslrootcert").filter(|path| *path != "system").map(PathBuf::from);
    let home_roots = home(".postgresql/root.crt").filter(|path| path.exists());
    let sslmode = settings.get("sslmode");
    let system = settings.get("sslrootcert") == Some("system");
    // With libpq, too, `require` checks the chain when there is a file to check it with.
    let checks_chain = matches!(sslmode, Some("verify-ca"))
        || (sslmode == Some("require") && (own_roots.is_some() || home_roots.is_some()));
    let checks_name = sslmode == Some("verify-full") || system;
    let inner = if checks_chain || checks_name {
        let roots = match own_roots.or(if system { None } else { home_roots }) {
            Some(path) => roots_of(&path)?,
            None => native_roots()?,
        };
        let built = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build();
        Some(built.map_err(|error| Failure::usage(format!("the root certificates: {error}")))?)
    } else {
        None
    };
    let verifier = Arc::new(Verifier { inner, checks_name, provider: provider.clone() });
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Failure::usage(format!("TLS: {error}")))?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let certificate = settings.get("sslcert").map(PathBuf::from);
    let certificate = certificate.or_else(|| home(".postgresql/postgresql.crt").filter(|path| path.exists()));
    let config = match certificate {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let key_path =
                settings.get("sslkey").map(PathBuf::from).or_else(|| home(".postgresql/postgresql.key"));
            let key_path = key_path.ok_or_else(|| Failure::usage("sslcert needs sslkey"))?;
            let key =
                PrivateKeyDer::from_pem_file(&key_path).map_err(|error| unreadable(&key_path, error))?;
            let chain = certificates_of(&path)?;
            builder.with_client_auth_cert(chain, key).map_err(|error| unreadable(&path, error))?
        }
    };
    Ok(MakeRustlsConnect::new(config))
}

fn home(below: &str) -> Option<PathBuf> {
    std::env::var_os("HOME").map(|home| PathBuf::from(home).join(below))
}

fn unreadable(path: &Path, error: impl std::fmt::Display) -> Failure {
    Failure::usage(format!("{}: {error}", path.display()))
}

fn certificates_of(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let all = CertificateDer::pem_file_iter(path).map_err(|error| unreadable(path, error))?;
    all.collect::<std::result::Result<_, _>>().map_err(|error| unreadable(path, error))
}

fn roots_of(path: &Path) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates_of(path)? {
        roots.add(certificate).map_err(|error| unreadable(path, error))?;
    }
    Ok(roots)
}

/// What this machine trusts.
fn native_roots() -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    match roots.is_empty() {
        true => Err(Failure::usage("this machine has no root certificates; name a file with sslrootcert")),
        false => Ok(roots),
    }
}

/// Checks as much of the server's certificate as sslmode asks for; the handshake's signature always.
#[derive(Debug)]
struct Verifier {
    /// None: encryption without knowing who answers.
    inner: Option<Arc<WebPkiServerVerifier>>,
    checks_name: bool,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, Error> {
        let Some(inner) = &self.inner else {
            return Ok(ServerCertVerified::assertion());
        };
        match inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            // The name is looked at after the chain, so the chain is good when only the name is not.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if !self.checks_name => Ok(ServerCertVerified::assertion()),
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
