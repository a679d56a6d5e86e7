//! nginx, for web seeds.

use std::fs;

use super::authority::Authority;
use super::{Host, Lab, Program, STEP_TIMEOUT, listens};

/// Where it listens.
pub const PORT: u16 = 8080;

/// Serves the host's folder; `locations` are further lines of its configuration. Each request is a line
/// of its output: the address that asks, the request, the status and the bytes sent.
///
/// # Panics
/// If its files can't be written, or it does not come up.
pub fn start(lab: &Lab, host: &Host, locations: &str) -> Program {
    start_with(lab, host, "", locations)
}

/// The same with TLS.
pub fn start_tls(lab: &Lab, host: &Host, authority: &Authority, locations: &str) -> Program {
    start_with(lab, host, "ssl", &(authority.for_nginx() + locations))
}

fn start_with(lab: &Lab, host: &Host, how: &str, locations: &str) -> Program {
    let own = host.dir.with_extension("nginx");
    fs::create_dir_all(&own).expect("a folder for nginx");
    let config = own.join("nginx.conf");
    fs::write(&config, configuration(host, how, locations, &own.display().to_string()))
        .expect("its configuration is written");
    let mut command = lab.command(host, "nginx");
    command.arg("-c").arg(&config).arg("-e").arg("stderr");
    let mut program = Program::spawn(lab, "nginx", command);
    program.wait_for("taking connections", STEP_TIMEOUT, || listens(lab, host, host.at(PORT)));
    program
}

fn configuration(host: &Host, how: &str, locations: &str, own: &str) -> String {
    let place = host.at(PORT);
    format!(
        r#"user root;
        daemon off;
        worker_processes 1;
        pid {own}/pid;
        events {{}}
        http {{
            log_format requests '$remote_addr "$request" $status $body_bytes_sent $http_range';
            access_log /dev/stdout requests;
            default_type application/octet-stream;
            client_body_temp_path {own}/body;
            proxy_temp_path {own}/proxy;
            fastcgi_temp_path {own}/fastcgi;
            scgi_temp_path {own}/scgi;
            uwsgi_temp_path {own}/uwsgi;
            server {{
                listen {place} {how};
                root "{root}";
                {locations}
            }}
        }}
        "#,
        root = host.dir.display(),
    )
}
