//! Connections, as libpq would make them from the same connection string and environment.

mod dsn;
mod passfile;
mod tls;

use std::time::Duration;

use postgres::config::{Host, SslMode};
use postgres::{Client, Config};

pub(crate) use dsn::Settings;

use crate::failure::{Failure, Result};

/// Connects and makes the session one that reads the same whatever the server's settings are.
pub(crate) fn connect(settings: &Settings) -> Result<Client> {
    let config = configure(settings)?;
    let mut client = match config.get_ssl_mode() {
        SslMode::Disable => config.connect(postgres::NoTls)?,
        _ => config.connect(tls::connector(settings)?)?,
    };
    client.batch_execute(
        "SET search_path = pg_catalog, pg_temp; SET timezone = 'UTC'; SET datestyle = 'ISO'",
    )?;
    Ok(client)
}

/// The crate's own description of the connection.
fn configure(settings: &Settings) -> Result<Config> {
    let mut config = Config::new();
    let hosts = settings.list("host");
    let addresses = settings.list("hostaddr");
    let ports = settings.list("port");
    for host in &hosts {
        config.host(host);
    }
    for address in &addresses {
        let address = address.parse().map_err(|_| Failure::usage("hostaddr is no IP address"))?;
        config.hostaddr(address);
    }
    if hosts.is_empty() && addresses.is_empty() {
        // Where servers put their sockets: Debian's folder, else PostgreSQL's own.
        let default = ["/var/run/postgresql", "/tmp"];
        let there = default.iter().find(|folder| std::path::Path::new(folder).join(".s.PGSQL.5432").exists());
        config.host(there.unwrap_or(&default[1]));
    }
    for port in &ports {
        config.port(port.parse().map_err(|_| Failure::usage("the port is no port number"))?);
    }
    let user = settings.user()?;
    config.user(&user);
    let database = settings.get("dbname").unwrap_or(&user).to_owned();
    config.dbname(&database);
    config.application_name(settings.get("application_name").unwrap_or("audit-guard"));
    if let Some(options) = settings.get("options") {
        config.options(options);
    }
    let seconds = match settings.get("connect_timeout") {
        None => 30,
        Some(text) => text.parse().map_err(|_| Failure::usage("connect_timeout is no number of seconds"))?,
    };
    if seconds > 0 {
        config.connect_timeout(Duration::from_secs(seconds));
    }
    config.keepalives_idle(Duration::from_secs(60));
    if settings.get("target_session_attrs") == Some("read-write") {
        config.target_session_attrs(postgres::config::TargetSessionAttrs::ReadWrite);
    }
    if let Some(password) = settings.get("password") {
        config.password(password);
    } else if let Some(password) = passfile::find(settings, &config, &user, &database) {
        config.password(password);
    }
    // As with libpq, what goes through a Unix socket is not encrypted.
    let local = config.get_hosts().iter().all(|host| matches!(host, Host::Unix(_)));
    config.ssl_mode(if local { SslMode::Disable } else { tls::mode(settings)? });
    Ok(config)
}
