//! Unpacking of fetched archives.
//!
//! An entry that would land outside the folder, by its name or through a link, fails the whole extraction.

use std::fs;
use std::io::{self, BufRead, Read, Write as _};
use std::path::{Path, PathBuf};

use bzip2::read::MultiBzDecoder;
use flate2::read::MultiGzDecoder;
use thiserror::Error;

/// Archive formats, told by the file's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArchiveKind {
    /// `.tar`
    Tar,
    /// `.tgz`, `.tar.gz`
    TarGz,
    /// `.tbz2`, `.tar.bz2`
    TarBz2,
    /// `.txz`, `.tar.xz`
    TarXz,
    /// `.zip`
    Zip,
    /// `.gz`: one compressed file
    Gz,
}

/// Why an archive could not be unpacked.
#[derive(Debug, Error)]
pub enum ArchiveError {
    /// The archive cannot be read or its files cannot be written.
    #[error("the archive cannot be read or its files cannot be written")]
    Io(#[from] io::Error),
    /// The archive is damaged.
    #[error("the zip archive cannot be read or its files cannot be written")]
    Zip(#[from] zip::result::ZipError),
    /// An entry would land outside the folder.
    #[error("entry '{0}' would land outside the sandbox")]
    Outside(String),
    /// The archive is damaged.
    #[error("the xz compression cannot be read: {0}")]
    Xz(String),
}

impl ArchiveKind {
    /// The format that the name of `path` tells; `None` for files that are no archives.
    #[must_use]
    pub fn of(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?.to_ascii_lowercase();
        let ends = |endings: &[&str]| endings.iter().any(|ending| name.ends_with(ending));
        match () {
            () if ends(&[".tar"]) => Some(Self::Tar),
            () if ends(&[".tgz", ".tar.gz"]) => Some(Self::TarGz),
            () if ends(&[".tbz2", ".tar.bz2"]) => Some(Self::TarBz2),
            () if ends(&[".txz", ".tar.xz"]) => Some(Self::TarXz),
            () if ends(&[".zip"]) => Some(Self::Zip),
            () if ends(&[".gz"]) => Some(Self::Gz),
            () => None,
        }
    }
}

/// Unpacks `archive` into `folder`; the archive itself stays.
pub(super) fn extract(kind: ArchiveKind, archive: &Path, folder: &Path) -> Result<(), ArchiveError> {
    let file = io::BufReader::new(fs::File::open(archive)?);
    match kind {
        ArchiveKind::Tar => untar(file, folder),
        ArchiveKind::TarGz => untar(MultiGzDecoder::new(file), folder),
        ArchiveKind::TarBz2 => untar(MultiBzDecoder::new(file), folder),
        ArchiveKind::TarXz => untar_xz(file, archive, folder),
        ArchiveKind::Zip => unzip(file, folder),
        ArchiveKind::Gz => {
            let mut unpacked = fs::File::create(unpacked_name(archive, folder))?;
            io::copy(&mut MultiGzDecoder::new(file), &mut unpacked)?;
            Ok(())
        }
    }
}

fn unpacked_name(archive: &Path, folder: &Path) -> PathBuf {
    // The name ends in ".gz", so there is a stem.
    folder.join(archive.file_stem().unwrap_or(archive.as_os_str()))
}

fn untar_xz(mut file: impl BufRead, archive: &Path, folder: &Path) -> Result<(), ArchiveError> {
    // The decoder writes instead of being read from, so the plain archive stands on disk for a while.
    let plain = archive.with_extension(format!("{}.tar", uuid::Uuid::new_v4().simple()));
    let unpacked = fs::File::create_new(&plain)
        .map_err(ArchiveError::from)
        .and_then(|unpacked| {
            let mut writer = io::BufWriter::new(unpacked);
            lzma_rs::xz_decompress(&mut file, &mut writer).map_err(|error| ArchiveError::Xz(error.to_string()))?;
            writer.flush()?;
            untar(io::BufReader::new(fs::File::open(&plain)?), folder)
        });
    let removed = fs::remove_file(&plain);
    unpacked?;
    Ok(removed?)
}

fn untar(reader: impl Read, folder: &Path) -> Result<(), ArchiveError> {
    let mut archive = tar::Archive::new(reader);
    archive.set_overwrite(true);
    // Folders come last: one without write permission would refuse its own files.
    let mut folders = Vec::new();
    for entry in archive.entries()? {
        let mut entry = entry?;
        if entry.header().entry_type().is_dir() {
            folders.push(entry);
        } else if !entry.unpack_in(folder)? {
            return Err(ArchiveError::Outside(entry.path()?.display().to_string()));
        }
    }
    for mut entry in folders {
        if !entry.unpack_in(folder)? {
            return Err(ArchiveError::Outside(entry.path()?.display().to_string()));
        }
    }
    Ok(())
}

fn unzip(reader: impl Read + io::Seek, folder: &Path) -> Result<(), ArchiveError> {
    let mut archive = zip::ZipArchive::new(reader)?;
    for index in 0..archive.len() {
        let entry = archive.by_index_raw(index)?;
        if entry.enclosed_name().is_none() {
            return Err(ArchiveError::Outside(entry.name().to_owned()));
        }
    }
    Ok(archive.extract(folder)?)
}
