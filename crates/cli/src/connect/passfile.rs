//! The password file of libpq: lines `host:port:database:user:password`.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use postgres::Config;
use postgres::config::Host;

use super::Settings;

/// The password for this connection, if the file has one. A file that others may read does not count.
pub(super) fn find(settings: &Settings, config: &Config, user: &str, database: &str) -> Option<String> {
    let path = match settings.get("passfile") {
        Some(path) => PathBuf::from(path),
        None => PathBuf::from(std::env::var_os("HOME")?).join(".pgpass"),
    };
    let metadata = std::fs::metadata(&path).ok()?;
    if metadata.permissions().mode() & 0o077 != 0 {
        eprintln!("audit-guard: {} is not used, because others may read it: chmod 0600", path.display());
        return None;
    }
    let text = std::fs::read_to_string(&path).ok()?;
    let ports = config.get_ports();
    config.get_hosts().iter().enumerate().find_map(|(place, host)| {
        let host = match host {
            Host::Tcp(name) => name.clone(),
            // The default folder goes by this name.
            Host::Unix(folder) if folder.as_os_str() == "/var/run/postgresql" => "localhost".to_owned(),
            Host::Unix(folder) => folder.display().to_string(),
        };
        let port = ports.get(place).or(ports.first()).copied().unwrap_or(5432).to_string();
        lookup(&text, [&host, &port, database, user])
    })
}

fn lookup(text: &str, wanted: [&str; 4]) -> Option<String> {
    text.lines().filter(|line| !line.starts_with('#')).find_map(|line| {
        let mut fields = fields(line);
        let password = (fields.len() == 5).then(|| fields.pop()).flatten()?;
        let fits = fields.iter().zip(wanted).all(|(field, wanted)| field == "*" || field == wanted);
        fits.then_some(password)
    })
}

/// The five fields of a line; `\` takes the next character as it is. The password may hold colons.
fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut rest = line.chars();
    while let Some(c) = rest.next() {
        if c == ':' && fields.len() < 5 {
            fields.push(String::new());
        } else if let Some(last) = fields.last_mut() {
            last.push(if c == '\\' { rest.next().unwrap_or(c) } else { c });
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::lookup;

    #[test]
    fn first_line_that_fits() {
        let file = "# host:port:db:user:pw\nbroken\ndb1:5432:shop:ada:one\n*:*:shop:ada:t\\:w\\\\o:3\n";
        assert_eq!(lookup(file, ["db1", "5432", "shop", "ada"]).as_deref(), Some("one"));
        assert_eq!(lookup(file, ["db2", "5432", "shop", "ada"]).as_deref(), Some("t:w\\o:3"));
        assert_eq!(lookup(file, ["db2", "5432", "shop", "eve"]), None);
    }
}
