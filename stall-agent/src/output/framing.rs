//! A document on its way through a socket: in pieces, each with its length before it, and an empty one at its end. What
//! ends without that was given up.
//!
//! An answer is one piece: what went wrong, in words, or nothing.

use std::io::{self, Read, Write};

/// Bytes of a piece at most.
pub(super) const PIECE: usize = 1 << 16;

/// Sends what is written to it.
pub(super) struct Pieces<W>(pub(super) W);

impl<W: Write> Pieces<W> {
    /// Says that it is whole.
    pub(super) fn end(mut self) -> io::Result<()> {
        send(&mut self.0, &[])
    }
}

impl<W: Write> Write for Pieces<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let piece = &bytes[..bytes.len().min(PIECE)];
        if !piece.is_empty() {
            send(&mut self.0, piece)?;
        }
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Reads the next piece; empty at the end.
pub(super) fn receive<'a>(from: &mut impl Read, buffer: &'a mut [u8]) -> io::Result<&'a [u8]> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let length = u32::from_le_bytes(length) as usize;
    let Some(piece) = buffer.get_mut(..length) else {
        return Err(io::ErrorKind::InvalidData.into());
    };
    from.read_exact(piece)?;
    Ok(piece)
}

/// Says how it went.
pub(super) fn answer(to: &mut impl Write, result: &io::Result<()>) -> io::Result<()> {
    let words = match result {
        Ok(()) => String::new(),
        Err(error) => crate::file::reason(error),
    };
    send(to, &words.as_bytes()[..words.len().min(PIECE)])
}

/// Hears how it went.
pub(super) fn heard(from: &mut impl Read) -> io::Result<()> {
    let mut buffer = vec![0; PIECE];
    match receive(from, &mut buffer)? {
        [] => Ok(()),
        words => Err(io::Error::other(
            String::from_utf8_lossy(words).into_owned(),
        )),
    }
}

/// Sends one piece.
pub(super) fn send(to: &mut impl Write, piece: &[u8]) -> io::Result<()> {
    let length = u32::try_from(piece.len()).map_err(io::Error::other)?;
    to.write_all(&length.to_le_bytes())?;
    to.write_all(piece)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(bytes: &[u8]) -> Vec<u8> {
        let mut sent = Vec::new();
        let mut pieces = Pieces(&mut sent);
        pieces.write_all(bytes).unwrap();
        pieces.end().unwrap();
        sent
    }

    fn received(mut sent: &[u8]) -> io::Result<Vec<u8>> {
        let (mut buffer, mut whole) = (vec![0; PIECE], Vec::new());
        loop {
            match receive(&mut sent, &mut buffer)? {
                [] => return Ok(whole),
                piece => whole.extend_from_slice(piece),
            }
        }
    }

    #[test]
    fn a_document_of_any_length_comes_through() {
        for length in [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE] {
            let bytes: Vec<u8> = (0..length).map(|index| index as u8).collect();
            assert_eq!(received(&document(&bytes)).unwrap(), bytes);
        }
    }

    #[test]
    fn one_that_is_cut_anywhere_is_not_whole() {
        let sent = document(b"hello");
        for length in 0..sent.len() {
            assert!(received(&sent[..length]).is_err());
        }
        assert!(received(&u32::MAX.to_le_bytes()).is_err());
    }

    #[test]
    fn an_answer_is_heard_as_it_was_said() {
        let said = |result: io::Result<()>| {
            let mut words = Vec::new();
            answer(&mut words, &result).unwrap();
            heard(&mut words.as_slice())
        };
        assert!(said(Ok(())).is_ok());
        let full = said(Err(io::Error::from_raw_os_error(libc::ENOSPC)));
        assert_eq!(full.unwrap_err().to_string(), "No space left on device");
    }
}
