//! TLS of the public listener. Changed certificate files are reloaded; if the new ones cannot be used, the previous
//! certificate stays in force and the status says so.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use sha2::{Digest, Sha256};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use tokio_rustls::rustls::{self, RootCertStore, ServerConfig};
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use webpki::EndEntityCert;
use zeroize::Zeroizing;

use crate::plain_file;
use crate::telemetry::observation::Status;

/// How often the files are read.
const POLL_INTERVAL: Duration = Duration::from_secs(2);
/// A read that takes longer is reported.
const POLL_MAX: Duration = Duration::from_secs(5);

/// Paths of the certificate files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The listener's certificate and the intermediate ones, in PEM.
    pub certificate: PathBuf,
    pub key: PathBuf,
    /// The authorities of client certificates, if any.
    pub client_ca: Option<PathBuf>,
}

/// Reads the beginning and the end of a certificate's validity.
pub(super) type ReadValidity = fn(&[u8]) -> Option<(Timestamp, Timestamp)>;

/// Why the files cannot be used. Holds nothing of the key.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("cannot read {}: {source}", path.display())]
    Unreadable {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{} holds no certificate in PEM", .0.display())]
    NoCertificate(PathBuf),
    #[error("{} holds no private key in PEM", .0.display())]
    NoKey(PathBuf),
    #[error("{} and {} do not belong together: {why}", certificate.display(), key.display())]
    Mismatch { certificate: PathBuf, key: PathBuf, why: rustls::Error },
    #[error("cannot use the authorities in {}: {why}", path.display())]
    Authorities { path: PathBuf, why: String },
}

/// The TLS configuration in force.
pub struct Tls {
    files: TlsFiles,
    in_force: Mutex<Arc<ServerConfig>>,
    /// The files when they were last loaded.
    loaded: Mutex<Loaded>,
    read_validity: ReadValidity,
}

/// What is known of the files in force.
#[derive(Clone, Copy)]
struct Loaded {
    digest: [u8; 32],
    validity: Option<(Timestamp, Timestamp)>,
}

/// The contents of the files.
struct TlsContents {
    certificate: Zeroizing<Vec<u8>>,
    key: Zeroizing<Vec<u8>>,
    client_ca: Option<Zeroizing<Vec<u8>>>,
}

impl Tls {
    /// # Errors
    /// A file cannot be used.
    pub fn load(files: TlsFiles, read_validity: ReadValidity) -> Result<Self, TlsError> {
        let contents = TlsContents::read(&files)?;
        let in_force = Mutex::new(Arc::new(contents.config(&files)?));
        let loaded = Mutex::new(contents.loaded(read_validity));
        Ok(Self { files, in_force, loaded, read_validity })
    }

    /// Reloads the files when they change, until `stop`.
    pub async fn follow(self: Arc<Self>, status: watch::Sender<Status>, stop: CancellationToken) {
        self.report_validity(&status);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = sleep(POLL_INTERVAL) => {}
            }
            // A file system that hangs blocks this thread only.
            let own = Arc::clone(&self);
            let mut reload = spawn_blocking(move || own.reload());
            let result = loop {
                tokio::select! {
                    () = stop.cancelled() => return,
                    result = &mut reload => break result,
                    () = sleep(POLL_MAX) => refused(&status, "reading its files takes too long".to_owned()),
                }
            };
            match result {
                Ok(Ok(is_new)) => self.report_success(&status, is_new),
                Ok(Err(error)) => refused(&status, error.to_string()),
                Err(error) => refused(&status, format!("reading its files failed: {error}")),
            }
        }
    }

    fn report_success(&self, status: &watch::Sender<Status>, is_new: bool) {
        if is_new {
            tracing::info!(certificate = %self.files.certificate.display(), "new certificate in force");
            self.report_validity(status);
        }
        if status.borrow().certificate_refused.is_some() {
            status.send_modify(|status| status.certificate_refused = None);
        }
    }

    fn report_validity(&self, status: &watch::Sender<Status>) {
        let Loaded { validity, .. } = *self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        status.send_modify(|status| status.certificate_validity = validity);
    }

    /// Whether the files changed; the new configuration is then in force.
    fn reload(&self) -> Result<bool, TlsError> {
        let contents = TlsContents::read(&self.files)?;
        let new = contents.loaded(self.read_validity);
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if loaded.digest == new.digest {
            return Ok(false);
        }
        let config = Arc::new(contents.config(&self.files)?);
        *self.in_force.lock().unwrap_or_else(PoisonError::into_inner) = config;
        *loaded = new;
        Ok(true)
    }

    /// Performs the handshake; `None` if it fails. The names are the DNS names in the client's certificate, which an
    /// authority of `client_ca` has signed.
    pub(super) async fn greet(&self, stream: TcpStream) -> Option<(TlsStream<TcpStream>, Arc<[String]>)> {
        let config = Arc::clone(&self.in_force.lock().unwrap_or_else(PoisonError::into_inner));
        let stream = TlsAcceptor::from(config).accept(stream).await;
        let stream = stream.inspect_err(|error| tracing::debug!(%error, "TLS handshake failed")).ok()?;
        let (_, session) = stream.get_ref();
        let names = session.peer_certificates().and_then(|chain| chain.first()).map(names);
        Some((stream, names.unwrap_or_default().into()))
    }
}

/// Reports a failure once per reason.
fn refused(status: &watch::Sender<Status>, why: String) {
    if status.borrow().certificate_refused.as_ref() != Some(&why) {
        tracing::error!(why, "cannot use the changed certificate; the previous one stays in force");
        status.send_modify(|status| status.certificate_refused = Some(why));
    }
}

impl TlsContents {
    fn read(files: &TlsFiles) -> Result<Self, TlsError> {
        let read = |path: &Path| {
            plain_file::read(path, plain_file::BYTES_MAX)
                .map_err(|source| TlsError::Unreadable { path: path.to_owned(), source })
        };
        Ok(Self {
            certificate: read(&files.certificate)?,
            key: read(&files.key)?,
            client_ca: files.client_ca.as_deref().map(read).transpose()?,
        })
    }

    fn loaded(&self, read_validity: ReadValidity) -> Loaded {
        // A chain is of no use as soon as one of its certificates has expired.
        let chain = certificates(&self.certificate).unwrap_or_default();
        let validities = chain.iter().filter_map(|certificate| read_validity(certificate));
        Loaded { digest: self.digest(), validity: validities.min_by_key(|(_, not_after)| *not_after) }
    }

    fn digest(&self) -> [u8; 32] {
        let mut all = Sha256::new();
        for part in [&self.certificate, &self.key].into_iter().chain(&self.client_ca) {
            all.update(Sha256::digest(part));
        }
        all.finalize().into()
    }

    fn config(&self, files: &TlsFiles) -> Result<ServerConfig, TlsError> {
        let chain = certificates(&self.certificate)
            .ok_or_else(|| TlsError::NoCertificate(files.certificate.clone()))?;
        let key = PrivateKeyDer::from_pem_slice(&self.key).map_err(|_| TlsError::NoKey(files.key.clone()))?;
        let mismatch =
            |why| TlsError::Mismatch { certificate: files.certificate.clone(), key: files.key.clone(), why };
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(mismatch)?;
        let builder = match (&self.client_ca, &files.client_ca) {
            (Some(pem), Some(path)) => {
                let refused = |why: String| TlsError::Authorities { path: path.clone(), why };
                let trusted =
                    certificates(pem).ok_or_else(|| refused("it holds no certificate in PEM".to_owned()))?;
                let mut roots = RootCertStore::empty();
                for authority in trusted {
                    roots.add(authority).map_err(|error| refused(error.to_string()))?;
                }
                // Probes and metrics need no certificate.
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                    .allow_unauthenticated()
                    .build()
                    .map_err(|error: VerifierBuilderError| refused(error.to_string()))?;
                builder.with_client_cert_verifier(verifier)
            }
            (_, _) => builder.with_no_client_auth(),
        };
        let mut config = builder.with_single_cert(chain, key).map_err(mismatch)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }
}

/// `None` if there are none, or one is damaged.
fn certificates(pem: &[u8]) -> Option<Vec<CertificateDer<'static>>> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    found.ok().filter(|found| !found.is_empty())
}

fn names(certificate: &CertificateDer<'_>) -> Vec<String> {
    EndEntityCert::try_from(certificate)
        .map(|certificate| certificate.valid_dns_names().map(ToOwned::to_owned).collect())
        .unwrap_or_default()
}
