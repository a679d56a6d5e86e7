//! A certificate authority of a lab's own, by openssl.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Host, Lab, check_output};

/// Who signs the certificate of a host.
#[derive(Debug)]
pub struct Authority {
    dir: PathBuf,
}

impl Authority {
    /// Makes one, and a certificate for the host's address.
    pub fn new(lab: &Lab, host: &Host) -> Self {
        let authority = Self { dir: lab.dir().to_owned() };
        let address = format!("subjectAltName=IP:{}", host.address);
        authority.request("ca", &["-subj", "/CN=Authority", "-addext", "basicConstraints=critical,CA:TRUE"]);
        let (ca, key) = (authority.path("ca.pem"), authority.path("ca.key"));
        let (ca, key) = (ca.display().to_string(), key.display().to_string());
        authority.request(
            "host",
            &[
                "-subj",
                "/CN=Host",
                "-addext",
                &address,
                "-addext",
                "basicConstraints=critical,CA:FALSE",
                "-CA",
                &ca,
                "-CAkey",
                &key,
            ],
        );
        authority
    }

    /// What makes who trusts it trust the host.
    pub fn certificate(&self) -> PathBuf {
        self.path("ca.pem")
    }

    /// The lines of nginx's configuration that use the host's certificate.
    pub fn for_nginx(&self) -> String {
        let (certificate, key) = (self.path("host.pem"), self.path("host.key"));
        format!("ssl_certificate {}; ssl_certificate_key {};", certificate.display(), key.display())
    }

    fn request(&self, name: &str, more: &[&str]) {
        let mut command = Command::new("openssl");
        command.args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "2",
        ]);
        command.arg("-keyout").arg(self.path(&format!("{name}.key")));
        check_output(command.arg("-out").arg(self.path(&format!("{name}.pem"))).args(more));
    }

    fn path(&self, name: &str) -> PathBuf {
        Path::new(&self.dir).join(name)
    }
}
