//! Notes, checkpoints and tlog-proofs, also against Cloudflare's implementations.

use audit_guard_core::ledger::checkpoint::Checkpoint;
use audit_guard_core::ledger::note::{Algorithm, Note, NoteError, SignerKey, VerifierKey, sign};
use audit_guard_core::ledger::proof::inclusion;
use audit_guard_core::ledger::tlog_proof::TlogProof;
use proptest::prelude::*;
use signed_note::{StandardSigner, StandardVerifier, VerifierList};

use super::reference::root;
use super::tree::leaves;

const PETER: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const PETER_SECRET: &str = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
const PETER_SIGNED: &str = "If you think cryptography is the answer to your problem,\n\
    then you don't know what your problem is.\n\n\
    \u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

pub(crate) fn signer(name: &str, algorithm: Algorithm) -> SignerKey {
    SignerKey::new(name, algorithm, &[name.len() as u8; 32]).unwrap()
}

#[test]
fn a_note_that_many_libraries_know() {
    let keys = [VerifierKey::parse(PETER).unwrap()];
    let note = Note::parse(PETER_SIGNED).unwrap();
    assert_eq!(note.verify(&keys).unwrap()[0].key.name(), "PeterNeumann");
    let signer = SignerKey::parse(PETER_SECRET).unwrap();
    assert_eq!(signer.verifier().to_string(), PETER);
    assert_eq!(signer.secret_text(), PETER_SECRET);
    assert_eq!(sign(note.text, &[&signer]), PETER_SIGNED);
    assert!(!format!("{signer:?}").contains("gQoUAtUUbI2E8kQzMPVAgOv5juF9nHT2JS/F1ccoMXM"));
}

#[test]
fn signatures_of_others_count_neither_way() {
    let (ours, other) =
        (signer("log.example", Algorithm::Ed25519), signer("other.example", Algorithm::Ed25519));
    let witness = signer("witness.example/w", Algorithm::Cosignature);
    let keys = [ours.verifier().clone(), witness.verifier().clone()];
    let text = "log.example\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n";
    let both = sign(text, &[&other, &ours]) + &witness.cosign(text, 1_679_315_147);
    let (checkpoint, signed_by) = Checkpoint::open(&both, &keys).unwrap();
    assert_eq!(checkpoint.to_string(), text);
    let found: Vec<_> = signed_by.iter().map(|by| (by.key.name(), by.timestamp)).collect();
    assert_eq!(found, [("log.example", None), ("witness.example/w", Some(1_679_315_147))]);
    assert_eq!(Checkpoint::open(&sign(text, &[&other]), &keys).unwrap_err(), NoteError::Unsigned);
    assert_eq!(Checkpoint::open(&both, &[]).unwrap_err(), NoteError::Unsigned);

    // One wrong signature of a known key spoils the note, whatever else is right.
    let broken = both.replacen("log.example\n0", "log.example\n1", 1);
    assert_eq!(
        Checkpoint::open(&broken, &keys).unwrap_err(),
        NoteError::BadSignature("log.example".to_owned())
    );
    let late = sign(text, &[&ours]) + &witness.cosign(text, u64::MAX);
    assert!(matches!(Checkpoint::open(&late, &keys), Err(NoteError::BadSignature(_))));
    // A signature of the one kind is none of the other.
    let plain = SignerKey::new("witness.example/w", Algorithm::Ed25519, &[17; 32]).unwrap();
    assert_eq!(Checkpoint::open(&sign(text, &[&plain]), &keys[1..]).unwrap_err(), NoteError::Unsigned);
    assert_eq!(Checkpoint::parse_any(&both).unwrap(), Checkpoint::parse_any(text).unwrap());
}

#[test]
fn keys_that_are_none() {
    for text in [
        "",
        "PeterNeumann",
        "PeterNeumann+c74f20a3",
        "PeterNeumann+c74f20a4+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "PeterNeumann+C74F20A3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "PeterNeumann+c74f20a3+AhpC2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10Q=",
        "Peter Neumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        // The neutral element: everything would count as signed.
        "x+5e2a5c0e+AQEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    ] {
        assert!(VerifierKey::parse(text).is_err(), "{text}");
        assert!(SignerKey::parse(&format!("PRIVATE+KEY+{text}")).is_err(), "{text}");
    }
    assert!(SignerKey::new("a+b", Algorithm::Ed25519, &[1; 32]).is_err());
    assert!(SignerKey::parse(PETER).is_err());
}

#[test]
fn texts_that_are_no_note() {
    for (from, to) in [
        ("\n\n", "\n"),
        ("nAM=\n", "nAM="),
        ("\u{2014} ", "- "),
        ("\u{2014} ", "\u{2014}"),
        (" PeterNeumann ", "  "),
        (" PeterNeumann ", " Peter+Neumann "),
        ("nAM=", "nAM"),
        ("nAM=", "nAN="),
        ("x08go/", "!08go/"),
        (
            "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=",
            "x08gow==",
        ),
        ("If", "I\tf"),
        ("If", "I\rf"),
        ("nAM=\n", "nAM=\n\n"),
    ] {
        let text = PETER_SIGNED.replacen(from, to, 1);
        assert!(Note::parse(&text).is_err(), "{text}");
    }
    let line = &PETER_SIGNED[PETER_SIGNED.find('\u{2014}').unwrap()..];
    assert!(Note::parse(&format!("x\n\n{}", line.repeat(100))).is_ok());
    assert!(Note::parse(&format!("x\n\n{}", line.repeat(101))).is_err());
    assert!(Note::parse(&format!("{}\n\n{line}", "x".repeat(1_000_000))).is_err());
    // The last blank line ends the text.
    assert_eq!(Note::parse(&format!("a\n\nb\n\n{line}")).unwrap().text, "a\n\nb\n");
}

#[test]
fn texts_that_are_no_checkpoint() {
    let good = "example.com/log\n109482\nsFodV/vSp5O8n9a8QpW6PRY97tfOSW5bsc2Xl/EQi08=\n";
    assert_eq!(Checkpoint::parse(good).unwrap().size, 109_482);
    let more = format!("{good}more\n");
    assert_eq!(Checkpoint::parse(&more).unwrap().to_string(), more);
    for (from, to) in [
        ("example.com/log", ""),
        ("109482", "0109482"),
        ("109482", "+109482"),
        ("109482", ""),
        ("109482", "18446744073709551616"),
        ("sFodV/vSp5O8n9a8QpW6PRY97tfOSW5bsc2Xl/EQi08=", "sFodV/vSp5O8n9a8QpW6PRY97tfOSW5bsc2Xl/EQi08"),
        ("sFodV/vSp5O8n9a8QpW6PRY97tfOSW5bsc2Xl/EQi08=", "sFodV/vSp5O8n9a8QpW6PRY97tfOSW5bsc2Xl/EQ"),
        ("i08=\n", "i08=\n\n"),
        ("i08=\n", "i08="),
        ("i08=\n", "i08=\r\n"),
    ] {
        let text = good.replacen(from, to, 1);
        assert!(Checkpoint::parse(&text).is_err(), "{text}");
    }
}

#[test]
fn a_proof_as_text() {
    let all = leaves(7);
    let key = signer("log.example", Algorithm::Ed25519);
    let checkpoint =
        Checkpoint { origin: "log.example".to_owned(), size: 7, root: root(&all), extensions: vec![] };
    let proof = TlogProof {
        extra: Some(b"record".to_vec()),
        index: 4,
        hashes: inclusion(&all[..], 4, 7).unwrap(),
        checkpoint: sign(&checkpoint.to_string(), &[&key]),
    };
    let text = proof.to_string();
    assert!(text.starts_with("c2sp.org/tlog-proof@v1\nextra cmVjb3Jk\nindex 4\n"));
    assert_eq!(TlogProof::parse(&text).as_ref(), Ok(&proof));
    let keys = [key.verifier().clone()];
    assert_eq!(proof.verify(&all[4], &keys), Ok(Some(checkpoint)));
    assert_eq!(proof.verify(&all[5], &keys), Ok(None));
    assert_eq!(proof.verify(&all[4], &[]), Err(NoteError::Unsigned));
    for (from, to) in [
        ("@v1", "@v2"),
        ("index 4", "index 04"),
        ("index 4\n", ""),
        ("extra cmVjb3Jk", "extra cmVjb3J"),
        ("index 4", "index 4\nx"),
        ("\n\nlog", "\nlog"),
    ] {
        assert!(TlogProof::parse(&text.replacen(from, to, 1)).is_err(), "{from}");
    }
    let line = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n";
    let of = |count| format!("c2sp.org/tlog-proof@v1\nindex 0\n{}\nx", line.repeat(count));
    assert!(TlogProof::parse(&of(64)).is_ok());
    assert!(TlogProof::parse(&of(65)).is_err());
}

fn note_like() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        Just(PETER_SIGNED.to_owned()),
        Just("\n".to_owned()),
        Just("\n\n".to_owned()),
        Just("\u{2014} a qrvM3Q==\n".to_owned()),
        Just("\u{2014} b qrvM3e4=\n".to_owned()),
        "[ +a-c0\u{2014}\u{2003}]{0,6}",
        "\\PC{0,4}",
    ];
    prop::collection::vec(part, 0..6).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn cloudflare_reads_what_was_signed_here(
        name in "[a-z]{1,9}(\\.[a-z]{1,3})?(/[0-9a-zé]{1,3})?", secret: [u8; 32], origin in "[^\\pC\n]{1,20}",
        size: u64, root: [u8; 32],
    ) {
        let key = SignerKey::new(&name, Algorithm::Ed25519, &secret).unwrap();
        let text = Checkpoint { origin, size, root, extensions: vec![] }.to_string();
        let signed = sign(&text, &[&key]);
        let verifier = StandardVerifier::new(&key.verifier().to_string()).unwrap();
        let list = VerifierList::new(vec![Box::new(verifier)]);
        let mut theirs = signed_note::Note::from_bytes(signed.as_bytes()).unwrap();
        prop_assert_eq!(theirs.verify(&list).unwrap().0.len(), 1);
        let checkpoint = tlog_tiles::Checkpoint::from_bytes(theirs.text()).unwrap();
        prop_assert_eq!((checkpoint.size(), checkpoint.hash().0), (size, root));
        // And the other way around.
        let signer = StandardSigner::new(&key.secret_text()).unwrap();
        theirs.add_sigs(&[&signer]).unwrap();
        prop_assert_eq!(&theirs.to_bytes()[..], signed.as_bytes());
    }
}

proptest! {
    #[test]
    fn notes_are_read_as_cloudflare_reads_them(text in note_like()) {
        let ours = Note::parse(&text);
        let theirs = signed_note::Note::from_bytes(text.as_bytes());
        prop_assert_eq!(ours.is_ok(), theirs.is_ok(), "{:?} {:?}", ours, theirs);
        if let (Ok(ours), Ok(theirs)) = (ours, theirs) {
            prop_assert_eq!(ours.text.as_bytes(), theirs.text());
            let lines: String = ours.signatures.iter().map(ToString::to_string).collect();
            prop_assert_eq!(format!("{}\n{lines}", ours.text), text.as_str());
            let keys = [VerifierKey::parse(PETER).unwrap()];
            let list = VerifierList::new(vec![Box::new(StandardVerifier::new(PETER).unwrap())]);
            prop_assert_eq!(ours.verify(&keys).is_ok(), theirs.verify(&list).is_ok());
        }
    }

    #[test]
    fn checkpoints_and_proofs_are_read_or_refused(
        text in "([a-c\n]|[0-9]{1,3}\n|\\PC{0,3}\n|[A-Za-z0-9+/]{43}=\n){0,8}",
    ) {
        let ours = Checkpoint::parse(&text);
        if let Ok(ours) = &ours {
            prop_assert_eq!(&ours.to_string(), &text);
            prop_assert_eq!(&Checkpoint::parse_any(&text).unwrap(), ours);
            prop_assert!(tlog_tiles::Checkpoint::from_bytes(text.as_bytes()).is_ok());
        }
        for head in ["c2sp.org/tlog-proof@v1\nindex 7\n", "c2sp.org/tlog-proof@v1\nextra AAAA\nindex 7\n"] {
            let text = format!("{head}{text}");
            if let Ok(proof) = TlogProof::parse(&text) {
                prop_assert_eq!(proof.to_string(), text);
            }
        }
    }

    #[test]
    fn any_key_is_read_or_refused(
        text in "(PRIVATE\\+KEY\\+)?[a-b+]{0,3}\\+[0-9a-f]{8}\\+[A-Za-z0-9+/]{44}|\\PC*",
    ) {
        if let Ok(key) = VerifierKey::parse(&text) {
            prop_assert_eq!(key.to_string(), text);
        } else if let Ok(key) = SignerKey::parse(&text) {
            prop_assert_eq!(key.secret_text(), text);
        }
    }
}
