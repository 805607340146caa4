//! The offset file: how far each thing has been acknowledged.
//!
//! Text, so that it can be looked at: a line with the format's name and version, one line of JSON
//! per place, and a checksum. It is replaced as a whole, by rename, with file and directory
//! synced; the one before is kept beside it, for the day that the disk has lost the newest.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{ErrorKind as Io, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use crate::{Cursor, Error, ErrorKind};

const FORMAT: &str = "birl-offsets 1";

/// Places by key; in memory alone if there is no path.
#[derive(Debug)]
pub(crate) struct Store {
    path: Option<PathBuf>,
    state: Mutex<State>,
    /// Held while writing, so that two writers do not mix.
    writing: Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    places: BTreeMap<String, Cursor>,
    loaded: bool,
    dirty: bool,
}

#[derive(Serialize, Deserialize)]
struct Line {
    key: String,
    #[serde(flatten)]
    place: Cursor,
}

impl Store {
    pub(crate) fn new(path: Option<PathBuf>) -> Arc<Self> {
        Arc::new(Self { path, state: Mutex::default(), writing: Mutex::default() })
    }

    /// Every place, by key. Reads the file the first time.
    pub(crate) fn places(&self) -> Result<BTreeMap<String, Cursor>, Error> {
        let mut state = self.lock();
        if let (false, Some(path)) = (state.loaded, &self.path) {
            state.places = load(path)?;
        }
        state.loaded = true;
        Ok(state.places.clone())
    }

    /// Finds out whether the file can be used. A broken one is put aside, and nothing was ever
    /// acknowledged then; the error says so, for who reads on.
    ///
    /// # Errors
    /// If it cannot be read at all, or is of another version.
    pub(crate) fn recover(&self) -> Result<Option<Error>, Error> {
        let (path, error) = match (&self.path, self.places()) {
            (Some(path), Err(error)) if error.kind() == ErrorKind::Corrupt => (path, error),
            (_, other) => return other.map(|_| None),
        };
        let aside = beside(path, ".broken");
        for copy in [beside(path, ".old"), path.clone()] {
            // If it cannot be renamed it is written over, which is no worse for who reads on.
            fs::rename(copy, &aside).ok();
        }
        let mut state = self.lock();
        (state.loaded, state.dirty) = (true, true);
        tracing::warn!(path = %path.display(), %error, "offsets are lost");
        let message = format!(
            "the offset file {} was broken: reading begins as on a first run, and the file is kept \
             as {}",
            path.display(),
            aside.display()
        );
        Ok(Some(Error::new(ErrorKind::Corrupt, message).with_cause(error).retryable()))
    }

    /// When places were last written down.
    #[cfg(feature = "file")]
    pub(crate) fn written_at(&self) -> Option<std::time::SystemTime> {
        fs::metadata(self.path.as_ref()?).and_then(|meta| meta.modified()).ok()
    }

    pub(crate) fn set(&self, key: &str, place: &Cursor) {
        let mut state = self.lock();
        state.dirty = true;
        match state.places.get_mut(key) {
            Some(old) => *old = place.clone(),
            None => {
                state.places.insert(key.to_owned(), place.clone());
            }
        }
    }

    #[cfg(feature = "file")]
    pub(crate) fn remove(&self, key: &str) {
        let mut state = self.lock();
        state.dirty |= state.places.remove(key).is_some();
    }

    /// Forgets the places that are not worth keeping.
    #[cfg(feature = "file")]
    pub(crate) fn retain(&self, keep: impl Fn(&Cursor) -> bool) {
        let mut state = self.lock();
        let before = state.places.len();
        state.places.retain(|_, place| keep(place));
        state.dirty |= state.places.len() < before;
    }

    /// Writes the file if anything moved since it was written.
    pub(crate) fn flush(&self) -> Result<(), Error> {
        let Some(path) = &self.path else { return Ok(()) };
        let _alone = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut state = self.lock();
        if !std::mem::take(&mut state.dirty) {
            return Ok(());
        }
        let text = encode(&state.places);
        drop(state);
        text.and_then(|text| write(path, &text)).inspect_err(|_| self.lock().dirty = true)
    }

    /// Finds out before the first line whether the file can be written.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let Some(path) = &self.path else { return Ok(()) };
        let probe = beside(path, ".new");
        File::create(&probe).map_err(|cause| {
            let doing = format!("cannot write the offset file {}", path.display());
            Error::io(doing, cause)
        })?;
        fs::remove_file(probe).ok();
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Store {
    /// Acknowledgements may come after the stream was dropped; the last of them is written here.
    fn drop(&mut self) {
        if let Err(error) = self.flush() {
            tracing::warn!(%error, "offsets are not written");
        }
    }
}

fn encode(places: &BTreeMap<String, Cursor>) -> Result<String, Error> {
    let mut text = format!("{FORMAT}\n");
    for (key, place) in places {
        let line = Line { key: key.clone(), place: place.clone() };
        let line = serde_json::to_string(&line).map_err(|cause| {
            Error::new(ErrorKind::Io, "cannot encode an offset").with_cause(cause)
        })?;
        text.push_str(&line);
        text.push('\n');
    }
    let sum = crc32fast::hash(text.as_bytes());
    text.push_str(&format!("crc32 {sum:08x}\n"));
    Ok(text)
}

fn decode(text: &str) -> Result<BTreeMap<String, Cursor>, String> {
    let version = text.lines().next().unwrap_or_default();
    if version != FORMAT {
        return Err(format!("it begins with `{version}` where `{FORMAT}` should be"));
    }
    let sum_at = text.trim_end_matches('\n').rfind('\n').map_or(0, |at| at + 1);
    let (body, sum) = text.split_at(sum_at);
    if sum != format!("crc32 {:08x}\n", crc32fast::hash(body.as_bytes())) {
        return Err("its checksum is wrong".to_owned());
    }
    let lines = body.lines().skip(1);
    let places = lines.map(|line| {
        let line: Line = serde_json::from_str(line).map_err(|error| error.to_string())?;
        Ok((line.key, line.place))
    });
    places.collect()
}

/// The version of a file that a later program wrote.
fn other_version(text: &str) -> Option<u32> {
    let version = text.lines().next()?.strip_prefix("birl-offsets ")?.parse().ok()?;
    (version > 1).then_some(version)
}

/// The newest copy that is whole. None is no error: then nothing was ever acknowledged.
fn load(path: &Path) -> Result<BTreeMap<String, Cursor>, Error> {
    let mut trouble = None;
    for copy in [path.to_owned(), beside(path, ".old")] {
        let text = match fs::read(&copy) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) if error.kind() == Io::NotFound => continue,
            Err(cause) => {
                let doing = format!("cannot read the offset file {}", copy.display());
                return Err(Error::io(doing, cause));
            }
        };
        if let Some(version) = other_version(&text) {
            return Err(Error::invalid(format!(
                "the offset file {} is of version {version}, which this program does not know; \
                 use the program that wrote it, or delete the file (and its .old) to begin as on a \
                 first run",
                copy.display()
            )));
        }
        match decode(&text) {
            Ok(places) => {
                if let Some(trouble) = trouble {
                    let path = path.display();
                    tracing::warn!(%path, trouble, "offset file broken, the one before is used");
                }
                return Ok(places);
            }
            Err(why) => trouble = trouble.or(Some(why)),
        }
    }
    match trouble {
        None => Ok(BTreeMap::new()),
        Some(why) => Err(Error::new(
            ErrorKind::Corrupt,
            format!(
                "the offset file {} cannot be used: {why}; delete it (and its .old) to begin \
                 as on a first run",
                path.display()
            ),
        )),
    }
}

fn write(path: &Path, text: &str) -> Result<(), Error> {
    let attempt = || {
        let (new, old) = (beside(path, ".new"), beside(path, ".old"));
        let mut file = File::create(&new)?;
        file.write_all(text.as_bytes())?;
        file.sync_data()?;
        match fs::rename(path, &old) {
            Err(error) if error.kind() == Io::NotFound => fs::write(&old, text)?,
            other => other?,
        }
        fs::rename(&new, path)?;
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
    };
    attempt().map_err(|cause| {
        Error::io(format!("cannot write the offset file {}", path.display()), cause)
    })
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Reads an offset file, sealed with its right checksum if that is asked for. Gives whether it is
/// one, and whether what is written of it is the same again.
#[cfg(fuzzing)]
#[must_use]
pub fn reread_offsets(text: &str, seal: bool) -> (bool, bool) {
    let mut text = text.to_owned();
    if seal {
        text = format!("{FORMAT}\n{text}\n");
        text.push_str(&format!("crc32 {:08x}\n", crc32fast::hash(text.as_bytes())));
    }
    let Ok(places) = decode(&text) else { return (false, true) };
    (true, encode(&places).is_ok_and(|again| decode(&again) == Ok(places)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reopened(path: &Path) -> Result<BTreeMap<String, Cursor>, Error> {
        Store::new(Some(path.to_owned())).places()
    }

    #[test]
    fn cut_anywhere_it_still_opens_with_the_copy_before() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("offsets");
        let store = Store::new(Some(path.clone()));
        for place in ["one", "two"] {
            store.set("a\"b", &Cursor::from_text(place));
            store.flush().unwrap();
        }
        let whole = fs::read(&path).unwrap();
        assert_eq!(reopened(&path).unwrap()["a\"b"], Cursor::from_text("two"));
        for len in 0..whole.len() {
            fs::write(&path, &whole[..len]).unwrap();
            assert_eq!(reopened(&path).unwrap()["a\"b"], Cursor::from_text("one"), "cut at {len}");
        }
    }

    #[test]
    fn a_file_of_a_later_version_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("offsets");
        fs::write(&path, "birl-offsets 7\n").unwrap();
        let error = Store::new(Some(path.clone())).recover().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains("version 7"), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "birl-offsets 7\n");
    }

    #[test]
    fn with_no_whole_copy_it_begins_anew_and_keeps_what_was_there() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("offsets");
        fs::write(&path, "birl-offsets 1\nrubbish\n").unwrap();
        fs::write(beside(&path, ".old"), "").unwrap();
        assert_eq!(reopened(&path).unwrap_err().kind(), ErrorKind::Corrupt);
        let store = Store::new(Some(path.clone()));
        let said = store.recover().unwrap().unwrap();
        assert!(said.is_retryable() && said.to_string().contains("first run"), "{said}");
        assert!(fs::read_to_string(beside(&path, ".broken")).unwrap().contains("rubbish"));
        assert!(store.places().unwrap().is_empty() && store.recover().unwrap().is_none());
        store.set("a", &Cursor::from_text("one"));
        store.flush().unwrap();
        assert_eq!(reopened(&path).unwrap()["a"], Cursor::from_text("one"));
    }
}
