//! Files that are there completely or not at all, also after a power failure.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use crate::failure::{Failure, Result};

/// Puts a file in the place of another one, on disk when this returns.
pub(crate) fn replace(path: &Path, contents: &[u8]) -> Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = Path::new(&beside);
    let write = || {
        let mut file = File::create(beside)?;
        file.write_all(contents)?;
        file.sync_all()?;
        std::fs::rename(beside, path)
    };
    write().map_err(|error| Failure::file(path, &error))?;
    sync_folder_of(path)
}

/// Puts a file in the place of another one, without waiting for the disk: [`sync_all`] does.
pub(crate) fn replace_soon(path: &Path, contents: &[u8]) -> Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let written = std::fs::write(&beside, contents).and_then(|()| std::fs::rename(&beside, path));
    written.map_err(|error| Failure::file(path, &error))
}

/// Waits until everything in the file system of a folder is on disk: for many files at once this is faster
/// than waiting for each.
pub(crate) fn sync_all(folder: &Path) -> Result<()> {
    let synced = File::open(folder).and_then(|folder| Ok(rustix::fs::syncfs(folder)?));
    synced.map_err(|error| Failure::file(folder, &error))
}

/// Makes a file that only its owner can read, and that is not there yet.
pub(crate) fn create_secret(path: &Path, contents: &[u8]) -> Result<()> {
    let write = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(contents)?;
        file.sync_all()
    };
    write().map_err(|error| Failure::file(path, &error))?;
    sync_folder_of(path)
}

/// Appends to a file, on disk when this returns.
pub(crate) fn append(path: &Path, contents: &[u8]) -> Result<()> {
    let write = || {
        let mut file = OpenOptions::new().append(true).create(true).open(path)?;
        file.write_all(contents)?;
        file.sync_all()
    };
    write().map_err(|error| Failure::file(path, &error))?;
    sync_folder_of(path)
}

/// The text of a file that must be there and not be larger than such a file can be.
pub(crate) fn read(path: &Path, limit: u64) -> Result<String> {
    let read = || {
        let mut text = String::new();
        let file = File::open(path)?;
        std::io::Read::read_to_string(&mut std::io::Read::take(file, limit + 1), &mut text)?;
        Ok(text)
    };
    let text = read().map_err(|error| Failure::file(path, &error))?;
    match text.len() as u64 > limit {
        true => Err(Failure::usage(format!("{}: too large for what it should be", path.display()))),
        false => Ok(text),
    }
}

/// Makes a folder, on disk when this returns.
pub(crate) fn make_folder(path: &Path) -> Result<()> {
    std::fs::create_dir_all(path).map_err(|error| Failure::file(path, &error))
}

fn sync_folder_of(path: &Path) -> Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| Failure::file(folder, &error))
}
