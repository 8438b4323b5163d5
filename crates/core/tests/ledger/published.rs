//! Vectors of others: the test tree of Certificate Transparency here, larger sets from a directory.

use std::fs;
use std::path::{Path, PathBuf};

use audit_guard_core::ledger::checkpoint::Checkpoint;
use audit_guard_core::ledger::hash::{Hash, leaf_hash};
use audit_guard_core::ledger::note::{Algorithm, Note, NoteError, VerifierKey};
use audit_guard_core::ledger::proof::{verify_consistency, verify_inclusion};
use audit_guard_core::ledger::tree::Frontier;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::reference::sha;

pub(crate) fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// The leaves that implementations of RFC 6962 have been tested with since it was written, and the roots.
#[test]
fn the_test_tree_of_certificate_transparency() {
    let mut tree = Frontier::new();
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_eq!(tree.root()[..], hex(empty));
    for (leaf, root) in [
        ("", "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"),
        ("00", "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"),
        ("10", "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"),
        ("2021", "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"),
        ("3031", "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4"),
        ("40414243", "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef"),
        ("5051525354555657", "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c"),
        (
            "606162636465666768696a6b6c6d6e6f",
            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
        ),
    ] {
        tree.push(leaf_hash(&hex(leaf)), &mut |_, _, _| {});
        assert_eq!(tree.root()[..], hex(root), "{leaf}");
    }
}

/// What the other tests here read: a directory with `testdata` of github.com/transparency-dev/merkle and
/// `ed25519` of github.com/C2SP/CCTV, and with the
/// pages of github.com/C2SP/C2SP in `c2sp`.
fn directory() -> PathBuf {
    std::env::var_os("LEDGER_VECTORS").map(PathBuf::from).unwrap()
}

fn files(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "json") {
            found.push(path);
        }
    }
}

fn decode(text: &str) -> Option<Hash> {
    STANDARD.decode(text).unwrap().try_into().ok()
}

/// Some cases say "don't care" where a root would be; any hash will do that is different for different texts.
fn decode_root(text: &str) -> Hash {
    decode(text).unwrap_or_else(|| sha(&[text.as_bytes()]))
}

/// A proof in which something has not the length of a hash is none.
fn decode_all(proof: Option<Vec<String>>) -> Option<Vec<Hash>> {
    proof.unwrap_or_default().iter().map(|hash| decode(hash)).collect()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Inclusion {
    leaf_idx: u64,
    tree_size: u64,
    root: String,
    leaf_hash: String,
    proof: Option<Vec<String>>,
    want_err: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Consistency {
    size1: u64,
    size2: u64,
    root1: String,
    root2: String,
    proof: Option<Vec<String>>,
    want_err: bool,
}

#[test]
#[ignore = "reads the directory LEDGER_VECTORS"]
fn proofs_of_transparency_dev() {
    let mut paths = Vec::new();
    files(&directory().join("testdata/inclusion"), &mut paths);
    let inclusions = paths.len();
    for path in &paths {
        let case: Inclusion = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        let root = decode_root(&case.root);
        let found = decode_all(case.proof).zip(decode(&case.leaf_hash)).is_some_and(|(proof, leaf)| {
            verify_inclusion(&leaf, case.leaf_idx, case.tree_size, &proof, &root)
        });
        assert_eq!(found, !case.want_err, "{}", path.display());
    }
    paths.clear();
    files(&directory().join("testdata/consistency"), &mut paths);
    for path in &paths {
        let case: Consistency = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        let (old, new) = (decode_root(&case.root1), decode_root(&case.root2));
        let found = decode_all(case.proof)
            .is_some_and(|proof| verify_consistency(case.size1, case.size2, &proof, &old, &new));
        assert_eq!(found, !case.want_err, "{}", path.display());
    }
    println!("{inclusions} of inclusion, {} of consistency", paths.len());
}

#[derive(Deserialize)]
struct Signature {
    number: u32,
    key: String,
    sig: String,
    msg: String,
    flags: Option<Vec<String>>,
}

/// Which odd signatures count: only those that count for everybody.
#[test]
#[ignore = "reads the directory LEDGER_VECTORS"]
fn odd_signatures_of_cctv() {
    let text = fs::read(directory().join("ed25519/ed25519vectors.json")).unwrap();
    let cases: Vec<Signature> = serde_json::from_slice(&text).unwrap();
    let mut accepted = 0;
    for case in &cases {
        let flags = case.flags.clone().unwrap_or_default();
        // A component of low order is no harm as long as the sum is right without it.
        let harmless = ["low_order_component_A", "low_order_component_R"];
        let expected = flags.iter().all(|flag| harmless.contains(&flag.as_str()));
        let key = hex(&case.key);
        let public = [&[Algorithm::Ed25519 as u8][..], &key].concat();
        let id = sha(&[b"cctv\n", &public]);
        let id = &id[..4];
        let text = id.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let line = STANDARD.encode([id, &hex(&case.sig)].concat());
        // Notes end with a newline and these messages do not: the text is verified as it stands.
        let note = Note { text: &case.msg, signatures: vec![] };
        let signature =
            Note::parse(&format!("x\n\n\u{2014} cctv {line}\n")).unwrap().signatures[0].bytes.clone();
        let found =
            VerifierKey::parse(&format!("cctv+{text}+{}", STANDARD.encode(public))).is_ok_and(|key| {
                let signature = audit_guard_core::ledger::note::Signature {
                    name: "cctv",
                    id: key.id(),
                    bytes: signature,
                };
                Note { signatures: vec![signature], ..note }.verify(&[key]).is_ok()
            });
        assert_eq!(found, expected, "{} {flags:?}", case.number);
        accepted += u32::from(found);
    }
    println!("{} signatures, {accepted} of them accepted", cases.len());
}

/// The blocks of a page, between lines of three backticks.
fn blocks(page: &str) -> Vec<String> {
    let text = fs::read_to_string(directory().join("c2sp").join(page)).unwrap();
    text.split("```\n").skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
#[ignore = "reads the directory LEDGER_VECTORS"]
fn examples_of_c2sp() {
    let text = fs::read_to_string(directory().join("c2sp/signed-note.md")).unwrap();
    let key = text.lines().find_map(|line| line.strip_prefix("    example.com/foo+")).unwrap();
    let keys = [VerifierKey::parse(&format!("example.com/foo+{key}")).unwrap()];
    let notes = blocks("signed-note.md");
    assert_eq!(Note::parse(notes.last().unwrap()).unwrap().verify(&keys).unwrap()[0].timestamp, None);
    assert_eq!(Note::parse(&notes[0]).unwrap().verify(&keys), Err(NoteError::Unsigned));
    for page in ["tlog-checkpoint.md", "tlog-cosignature.md"] {
        let note = &blocks(page)[0];
        assert_eq!(Checkpoint::parse_any(note).unwrap().size, 20_852_163, "{page}");
        let signatures = Note::parse(note).unwrap().signatures;
        assert_eq!(signatures[0].bytes.len(), 64);
        assert!(signatures.get(1).is_none_or(|witness| witness.bytes.len() == 72));
    }
}
