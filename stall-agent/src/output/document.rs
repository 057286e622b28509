//! A document: what is written, however it gets to where it belongs.

use std::io::{self, Write};

use serde::Serialize;

/// Writes a document; may be called again when the first writing fails.
pub trait Document: Fn(&mut dyn Write) -> io::Result<()> {}
impl<F: Fn(&mut dyn Write) -> io::Result<()>> Document for F {}

/// A value as JSON with a line feed at its end.
pub fn json<T: Serialize>(value: &T, pretty: bool) -> impl Document {
    move |mut writer: &mut dyn Write| {
        if pretty {
            serde_json::to_writer_pretty(&mut writer, value)?;
        } else {
            serde_json::to_writer(&mut writer, value)?;
        }
        writer.write_all(b"\n")
    }
}
