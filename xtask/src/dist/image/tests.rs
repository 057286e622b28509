//! The archive, read back as a container engine reads it: from descriptor to descriptor, each sum checked.

use std::collections::BTreeMap;
use std::io::Read as _;

use flate2::read::GzDecoder;
use tar::Archive;

use super::super::architecture::ALL;
use super::*;
use crate::kept::manifests;

type Files = BTreeMap<String, Vec<u8>>;

fn files(archive: &[u8]) -> Files {
    let mut archive = Archive::new(archive);
    let entries = archive.entries().unwrap().map(Result::unwrap);
    entries
        .map(|mut entry| {
            let name = entry.path().unwrap().to_string_lossy().into_owned();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            (name, content)
        })
        .collect()
}

/// What a descriptor is of.
fn content<'a>(files: &'a Files, descriptor: &Value) -> &'a [u8] {
    let digest = descriptor["digest"].as_str().unwrap();
    let sum = digest.strip_prefix("sha256:").unwrap();
    let content = &files[&format!("blobs/sha256/{sum}")];
    assert_eq!(checksum::hex(content), sum);
    assert_eq!(descriptor["size"], content.len());
    content
}

fn json_of(files: &Files, descriptor: &Value) -> Value {
    serde_json::from_slice(content(files, descriptor)).unwrap()
}

fn written() -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let binaries = ALL.each_ref().map(|architecture| {
        let path = dir.path().join(architecture.name);
        fs::write(&path, format!("program for {}", architecture.oci)).unwrap();
        Binary { architecture, path }
    });
    let origin = Origin {
        commit: "abc".to_owned(),
        epoch: 1_700_000_000,
    };
    let to = dir.path().join("image.tar");
    write(&binaries, &origin, &to).unwrap();
    fs::read(to).unwrap()
}

#[test]
fn every_architecture_is_reached_from_the_index() {
    let files = files(&written());
    assert_eq!(files["oci-layout"], br#"{"imageLayoutVersion":"1.0.0"}"#);
    let top: Value = serde_json::from_slice(&files["index.json"]).unwrap();
    let index = json_of(&files, &top["manifests"][0]);
    let annotations = &top["manifests"][0]["annotations"];
    assert_eq!(annotations["org.opencontainers.image.ref.name"], VERSION);
    for (place, architecture) in ALL.iter().enumerate() {
        let descriptor = &index["manifests"][place];
        assert_eq!(descriptor["platform"]["architecture"], architecture.oci);
        let manifest = json_of(&files, descriptor);
        let config = json_of(&files, &manifest["config"]);
        assert_eq!(config["architecture"], architecture.oci);
        assert_eq!(config["config"]["Entrypoint"], json!(["/stall-agent"]));
        check_layer(&files, &manifest["layers"][0], &config, architecture);
    }
}

fn check_layer(files: &Files, layer: &Value, config: &Value, architecture: &Architecture) {
    let mut plain = Vec::new();
    let mut decoder = GzDecoder::new(content(files, layer));
    decoder.read_to_end(&mut plain).unwrap();
    let diff_id = format!("sha256:{}", checksum::hex(&plain));
    assert_eq!(config["rootfs"]["diff_ids"], json!([diff_id]));
    let inside = self::files(&plain);
    let program = format!("program for {}", architecture.oci).into_bytes();
    assert_eq!(
        inside,
        BTreeMap::from([("stall-agent".to_owned(), program)])
    );
}

#[test]
fn the_program_can_be_run_and_is_roots() {
    let layer = layer(b"x", 7).unwrap();
    let mut archive = Archive::new(layer.as_slice());
    let entry = archive.entries().unwrap().next().unwrap().unwrap();
    let header = entry.header();
    assert_eq!(header.mode().unwrap(), 0o755);
    assert_eq!((header.uid().unwrap(), header.gid().unwrap()), (0, 0));
    assert_eq!(header.mtime().unwrap(), 7);
}

/// What the manifests for Kubernetes ask for is what an import of the archive is called.
#[test]
fn the_manifests_ask_for_this_image() {
    let files = files(&written());
    let top: Value = serde_json::from_slice(&files["index.json"]).unwrap();
    let name = top["manifests"][0]["annotations"]["io.containerd.image.name"].as_str();
    let line = format!("          image: {}\n", name.unwrap());
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for manifest in manifests(&root).unwrap() {
        let text = fs::read_to_string(manifest).unwrap();
        assert!(text.contains(&line), "{text}");
    }
}

#[test]
fn nothing_else_is_in_the_archive() {
    let files = files(&written());
    let blobs = files
        .keys()
        .filter(|name| name.starts_with("blobs/sha256/"));
    // Per architecture a layer, a configuration and a manifest; and the index of both.
    assert_eq!(blobs.count(), 3 * ALL.len() + 1);
    assert_eq!(files.len(), 3 * ALL.len() + 3);
}

#[test]
fn twice_is_the_same() {
    assert_eq!(written(), written());
}
