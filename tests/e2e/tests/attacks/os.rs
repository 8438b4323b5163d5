//! What an attacker does outside of SQL, with the account that the server runs under.

use audit_guard_e2e::Result;
use audit_guard_e2e::cluster::Cluster;

use crate::script::{Attack, Said};

/// One command of a script.
pub(crate) fn command(attack: &mut Attack<'_>, name: &str, rest: &str) -> Result<()> {
    let cluster = &attack.place.world.cluster;
    match name {
        "run" => run(attack, rest),
        "stop" => cluster.stop("fast"),
        "start" => cluster.boot_with(rest),
        "restart" => cluster.stop("fast").and_then(|()| cluster.boot_with(rest)),
        "crash" => cluster.stop("immediate").and_then(|()| cluster.boot()),
        "overwrite" => overwrite(attack),
        "library" => library(cluster),
        _ => Err(format!("unknown command \\{name}").into()),
    }
}

/// Compiles the attacker's library, once per cluster.
fn library(cluster: &Cluster) -> Result<()> {
    if !cluster.dir().join("unhook.so").exists() {
        std::fs::write(cluster.dir().join("unhook.c"), include_str!("../../../attacks/unhook.c"))?;
        cluster.shell("cc -shared -fPIC -I\"$(pg_config --includedir-server)\" -o unhook.so unhook.c")?;
    }
    Ok(())
}

/// A program of the server's account, such as psql or pg_restore, with the database as its default. Its
/// errors are those that the server has logged meanwhile.
fn run(attack: &mut Attack<'_>, script: &str) -> Result<()> {
    let world = attack.place.world;
    let (_, from) = world.logged_errors(0)?;
    let output = world.cluster.shell(&format!("export PGDATABASE={}; {script}", attack.place.database));
    let (codes, _) = world.logged_errors(from)?;
    let told: String = output.err().map(|e| e.to_string().chars().take(300).collect()).unwrap_or_default();
    let step = format!("\\run {script}");
    if codes.is_empty() {
        let error = (!told.is_empty()).then(|| ("OS".to_owned(), told));
        attack.said.push(Said { step, error });
    } else {
        attack.said.extend(
            codes
                .into_iter()
                .map(|c| Said { step: step.clone(), error: Some((c.clone(), format!("{c} {told}"))) }),
        );
    }
    Ok(())
}

/// The server without anybody else, without event triggers, and with settings of one's choice.
pub(crate) fn single_user(attack: &mut Attack<'_>, options: &str, statements: &[String]) -> Result<()> {
    let cluster = &attack.place.world.cluster;
    let file = cluster.dir().join("single.sql");
    // It takes one line as one statement.
    let lines: Vec<String> = statements.iter().map(|sql| sql.replace('\n', " ") + "\n").collect();
    std::fs::write(&file, lines.concat())?;
    cluster.stop("fast")?;
    let script =
        format!("postgres --single -D data {options} {} <{} 2>&1", attack.place.database, file.display());
    let said = cluster.shell(&script);
    cluster.boot()?;
    let said = said?;
    let error = said.lines().find(|line| line.contains("ERROR:  ") || line.contains("FATAL:  "));
    attack.said.push(Said {
        step: "\\single".to_owned(),
        error: error.map(|line| {
            (
                line.split("] ").nth(1).unwrap_or("?").split(' ').next().unwrap_or("?").to_owned(),
                line.to_owned(),
            )
        }),
    });
    Ok(())
}

/// Changes bytes of the partition's file while the server is down, and computes new checksums for its pages.
fn overwrite(attack: &mut Attack<'_>) -> Result<()> {
    let place = attack.place;
    let words = attack.target.words(place.log_leaf());
    let leaf = words.iter().find(|(name, _)| *name == "leaf").map_or("", |(_, word)| word.as_str());
    let mut client = place.connect("postgres")?;
    client.batch_execute("CHECKPOINT")?;
    let path: String =
        client.query_one(&format!("SELECT pg_relation_filepath('{leaf}')"), &[])?.try_get(0)?;
    drop(client);
    let cluster = &place.world.cluster;
    cluster.stop("fast")?;
    cluster.shell("pg_checksums --disable -N -D data")?;
    let file = cluster.dir().join("data").join(path);
    let mut bytes = std::fs::read(&file)?;
    let (old, new) = (b"letter", b"mETTer");
    let (old, new): (&[u8], &[u8]) =
        if attack.target == crate::target::Target::Stream { (b"order ", b"ORDER ") } else { (old, new) };
    let mut changed = 0;
    while let Some(at) = bytes.windows(old.len()).position(|window| window == old) {
        bytes[at..at + new.len()].copy_from_slice(new);
        changed += 1;
    }
    std::fs::write(&file, bytes)?;
    cluster.shell("pg_checksums --enable -N -D data")?;
    cluster.boot()?;
    let error =
        (changed == 0).then(|| ("OS".to_owned(), format!("{} holds nothing to change", file.display())));
    attack.said.push(Said { step: "\\overwrite".to_owned(), error });
    Ok(())
}
