//! Chart archives: gzipped tar in, plain files out, bounded and without paths that lead outside.
//! Source: Helm `pkg/chart/loader/archive/archive.go`.

use std::io::Read as _;

use flate2::read::MultiGzDecoder;

use crate::chart::MAX_FILE;
use crate::error::Error;

/// Largest unpacked archive, in bytes.
pub const MAX_CHART: usize = 100 << 20;
/// Most entries of an archive.
const MAX_ENTRIES: usize = 200_000;

fn refuse<T>(text: impl Into<String>) -> Result<T, Error> {
    Err(Error::Archive(text.into()))
}

/// Path and content of the files, the first path element cut.
///
/// # Errors
/// What Helm refuses: paths outside the folder, too large a file or chart, no files.
pub fn unpack(data: &[u8]) -> Result<Vec<(String, Vec<u8>)>, Error> {
    // One byte more than allowed, so that going over it is seen.
    let limit = u64::try_from(MAX_CHART + MAX_ENTRIES * 1024).unwrap_or(u64::MAX);
    let mut archive = tar::Archive::new(MultiGzDecoder::new(data).take(limit));
    let broken = |e: std::io::Error| Error::Archive(format!("unable to load chart archive: {e}"));
    let mut files = Vec::new();
    let mut left = MAX_CHART;
    for (count, entry) in archive.entries().map_err(broken)?.enumerate() {
        if count >= MAX_ENTRIES {
            return refuse(format!("chart archive has more than {MAX_ENTRIES} entries"));
        }
        let mut entry = entry.map_err(broken)?;
        let kind = entry.header().entry_type();
        let full = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        if kind.is_dir() || full.ends_with('/') || kind.is_pax_global_extensions() {
            continue;
        }
        let path = safe_path(&full)?;
        let size = usize::try_from(entry.size()).unwrap_or(usize::MAX);
        if size > left {
            return too_large();
        }
        if size > MAX_FILE {
            return Err(too_large_file(&full));
        }
        let mut content = Vec::new();
        if !kind.is_symlink() && !kind.is_hard_link() {
            entry.read_to_end(&mut content).map_err(broken)?;
        }
        left = left.saturating_sub(content.len());
        if left == 0 {
            return too_large();
        }
        files.push((path, content));
    }
    if files.is_empty() {
        return refuse("no files in chart archive");
    }
    Ok(files)
}

fn too_large<T>() -> Result<T, Error> {
    refuse(format!("decompressed chart is larger than the maximum size {MAX_CHART}"))
}

/// The refusal of a file that is too large.
pub(crate) fn too_large_file(full: &str) -> Error {
    let shown = borax_gotmpl::quote(full.as_bytes());
    Error::Archive(format!(
        "decompressed chart file {shown} is larger than the maximum file size {MAX_FILE}"
    ))
}

/// The path inside the chart: the first element cut.
///
/// # Errors
/// It leads outside.
pub(crate) fn safe_path(full: &str) -> Result<String, Error> {
    let delimiter = if full.contains('\\') { '\\' } else { '/' };
    let (first, rest) = full.split_once(delimiter).unwrap_or((full, ""));
    let rest = rest.replace(delimiter, "/");
    if rest.starts_with('/') {
        return refuse("chart illegally contains absolute paths");
    }
    let clean = crate::funcs::clean_path(&rest);
    if clean == "." {
        let shown = borax_gotmpl::quote(full.as_bytes());
        return refuse(format!(
            "chart illegally contains content outside the base directory: {shown}"
        ));
    }
    if clean.starts_with("..") {
        return refuse("chart illegally references parent directory");
    }
    let drive = clean.as_bytes();
    if drive.len() >= 3 && drive[0].is_ascii_alphabetic() && drive[1] == b':' && drive[2] == b'/' {
        return refuse("chart contains illegally named files");
    }
    if first == "Chart.yaml" {
        return refuse("chart yaml not in base directory");
    }
    Ok(clean)
}
