//! The container image: an OCI image layout in one archive, for every architecture, without a daemon.
//!
//! The binary alone, as `/stall-agent`: no shell, no libraries. The OCI image specification 1.1 defines the
//! form; `skopeo copy oci-archive:stall-agent.oci.tar ...` and `ctr image import` read it.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use tar::{Builder, Header};

use super::architecture::Architecture;
use super::binary::Binary;
use super::checksum;
use super::sources::Origin;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// No registry has it: it is imported on each node, or pushed to one's own under another name.
const NAME: &str = "localhost/stall-agent";
/// All packages have the same.
const VERSION: &str = env!("CARGO_PKG_VERSION");

pub(super) fn write(binaries: &[Binary], origin: &Origin, to: &Path) -> Result<()> {
    let mut blobs = Blobs::default();
    let mut manifests = Vec::new();
    for binary in binaries {
        let program = fs::read(&binary.path)?;
        manifests.push(image(&mut blobs, binary.architecture, &program, origin)?);
    }
    let index = blobs.add_json(INDEX, &index(&json!(manifests)));
    let file = File::create(to).with_context(|| format!("{} cannot be made", to.display()))?;
    let named = annotated(
        index,
        &json!({
            "org.opencontainers.image.ref.name": VERSION,
            // By this one `ctr image import` calls it.
            "io.containerd.image.name": format!("{NAME}:{VERSION}"),
        }),
    );
    blobs.archive(file, &index_file(&named), origin.epoch)
}

/// Content by its checksum, and descriptors of it.
#[derive(Default)]
struct Blobs(Vec<(String, Vec<u8>)>);

impl Blobs {
    /// Its descriptor.
    fn add(&mut self, media_type: &str, content: Vec<u8>) -> Value {
        let sum = checksum::hex(&content);
        let descriptor = json!({
            "mediaType": media_type,
            "digest": format!("sha256:{sum}"),
            "size": content.len(),
        });
        if self.0.iter().all(|(known, _)| *known != sum) {
            self.0.push((sum, content));
        }
        descriptor
    }

    fn add_json(&mut self, media_type: &str, content: &Value) -> Value {
        self.add(media_type, content.to_string().into_bytes())
    }

    fn archive(self, file: File, index: &Value, epoch: u64) -> Result<()> {
        let mut archive = Builder::new(file);
        let layout = json!({ "imageLayoutVersion": "1.0.0" }).to_string();
        append(&mut archive, "oci-layout", layout.as_bytes(), 0o644, epoch)?;
        let index = index.to_string();
        append(&mut archive, "index.json", index.as_bytes(), 0o644, epoch)?;
        for (sum, content) in &self.0 {
            let name = format!("blobs/sha256/{sum}");
            append(&mut archive, &name, content, 0o644, epoch)?;
        }
        archive.into_inner()?.sync_all()?;
        Ok(())
    }
}

/// One architecture's manifest, as a descriptor with its platform.
fn image(
    blobs: &mut Blobs,
    architecture: &Architecture,
    program: &[u8],
    origin: &Origin,
) -> Result<Value> {
    let layer = layer(program, origin.epoch)?;
    let config = config(architecture, &checksum::hex(&layer), origin);
    let layer = blobs.add(LAYER, compressed(&layer)?);
    let config = blobs.add_json(CONFIG, &config);
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": config,
        "layers": [layer],
    });
    let mut descriptor = blobs.add_json(MANIFEST, &manifest);
    descriptor["platform"] = json!({ "architecture": architecture.oci, "os": "linux" });
    Ok(descriptor)
}

/// Root inside, as it needs root's capabilities whoever starts it.
fn config(architecture: &Architecture, diff_id: &str, origin: &Origin) -> Value {
    json!({
        "created": origin.time(),
        "architecture": architecture.oci,
        "os": "linux",
        "config": {
            "User": "0:0",
            "Entrypoint": ["/stall-agent"],
            "WorkingDir": "/",
            "Labels": {
                "org.opencontainers.image.title": "stall-agent",
                "org.opencontainers.image.licenses": "MIT OR GPL-2.0-only",
                "org.opencontainers.image.revision": origin.commit,
            },
        },
        "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{diff_id}")] },
        "history": [{ "created": origin.time(), "created_by": "cargo xtask dist" }],
    })
}

fn index(manifests: &Value) -> Value {
    json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": manifests })
}

fn index_file(image: &Value) -> Value {
    index(&json!([image]))
}

fn annotated(mut descriptor: Value, annotations: &Value) -> Value {
    descriptor["annotations"] = annotations.clone();
    descriptor
}

fn layer(program: &[u8], epoch: u64) -> Result<Vec<u8>> {
    let mut archive = Builder::new(Vec::new());
    append(&mut archive, "stall-agent", program, 0o755, epoch)?;
    Ok(archive.into_inner()?)
}

/// Without name and time, which gzip would otherwise keep.
fn compressed(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?)
}

fn append<W: std::io::Write>(
    archive: &mut Builder<W>,
    name: &str,
    content: &[u8],
    mode: u32,
    epoch: u64,
) -> Result<()> {
    let mut header = Header::new_ustar();
    header.set_size(content.len() as u64);
    header.set_mode(mode);
    header.set_mtime(epoch);
    header.set_uid(0);
    header.set_gid(0);
    Ok(archive.append_data(&mut header, name, content)?)
}

#[cfg(test)]
mod tests;
