//! Bodies of requests, encoded.

use std::io::{self, Write};

use brotli::CompressorWriter;
use brotli::enc::BrotliEncoderParams;
use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use ruzstd::encoding::{CompressionLevel, compress_to_vec};

use super::super::Body;
use super::{Coding, Error, TURN};

/// What servers and browsers use for content that is encoded on the way.
const BROTLI_QUALITY: i32 = 4;
const BROTLI_WINDOW: i32 = 22;
const BROTLI_BUFFER: usize = 4 << 10;

/// Encodes a body with one coding after the other.
pub async fn encode(codings: &[Coding], body: Body<'_>) -> Result<Vec<u8>, Error> {
    let mut encoded: Option<Vec<u8>> = None;
    for &coding in codings {
        let next = match &encoded {
            None => once(coding, body).await,
            Some(body) => once(coding, Body::Whole(body)).await,
        };
        encoded = Some(next.map_err(|error| Error::Other(format!("{}: {error}", coding.name())))?);
    }
    Ok(encoded.unwrap_or_else(|| body.whole().into_owned()))
}

async fn once(coding: Coding, body: Body<'_>) -> io::Result<Vec<u8>> {
    match coding {
        Coding::Gzip => {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::new(6));
            write(body, &mut encoder).await?;
            encoder.finish()
        }
        Coding::Deflate => {
            let mut encoder = ZlibEncoder::new(Vec::new(), Compression::new(6));
            write(body, &mut encoder).await?;
            encoder.finish()
        }
        Coding::Brotli => {
            let params =
                BrotliEncoderParams { quality: BROTLI_QUALITY, lgwin: BROTLI_WINDOW, ..BrotliEncoderParams::default() };
            let mut encoder = CompressorWriter::with_params(Vec::new(), BROTLI_BUFFER, &params);
            write(body, &mut encoder).await?;
            encoder.flush()?;
            Ok(encoder.into_inner())
        }
        // It takes its source in one go.
        Coding::Zstd => Ok(compress_to_vec(Pieces { body, index: 0, at: 0 }, CompressionLevel::Fastest)),
    }
}

/// Writes all pieces, and gives others their turn now and then.
async fn write(body: Body<'_>, encoder: &mut impl Write) -> io::Result<()> {
    for (index, part) in body.pieces().flat_map(|piece| piece.chunks(TURN)).enumerate() {
        if index > 0 && part.len() == TURN {
            tokio::task::yield_now().await;
        }
        encoder.write_all(part)?;
    }
    Ok(())
}

/// Pieces, read as one.
struct Pieces<'a> {
    body: Body<'a>,
    /// The piece that is next.
    index: usize,
    /// What was read of it.
    at: usize,
}

impl io::Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(piece) = self.body.piece(self.index) {
            let left = &piece[self.at..];
            if left.is_empty() {
                (self.index, self.at) = (self.index + 1, 0);
                continue;
            }
            let length = left.len().min(buffer.len());
            buffer[..length].copy_from_slice(&left[..length]);
            self.at += length;
            return Ok(length);
        }
        Ok(0)
    }
}
