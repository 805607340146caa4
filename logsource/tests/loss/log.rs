//! A log file: its writers, and the ways in which it is rotated. Every step is done on the disk
//! and in the model at once.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard};

use crate::clock::{now, sleep, wait};
use crate::dice::Dice;
use crate::line::{self, LineId};
use crate::model::{BodyId, Cause, Model, Ms};
use crate::scenario::{Cut, Scenario};

/// Writers per log. One more number is for what a rotation itself writes.
pub(crate) const WRITERS: u32 = 2;

#[derive(Debug)]
pub(crate) struct Log {
    directory: PathBuf,
    name: String,
    scenario: Scenario,
    state: Mutex<State>,
    /// Held while a line is written: half lines of two writers do not mix.
    pen: Mutex<()>,
    pub(crate) stop: AtomicBool,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) model: Model,
    /// What each file holds now. A file keeps its index when it is cut, and gets another body.
    files: Vec<BodyId>,
    /// The file that bears the name.
    current: usize,
    /// The rotated files, `.1` first, with what their names end in beside the number.
    chain: Vec<(usize, &'static str)>,
    /// The file that each writer has open.
    open: Vec<usize>,
    /// When the writers look at the name again.
    reopen_at: Ms,
    extra: u32,
    pub(crate) cuts: u64,
}

impl Log {
    pub(crate) fn new(directory: &Path, name: &str, number: u32, scenario: Scenario) -> Self {
        let state = State {
            model: Model::default(),
            files: Vec::new(),
            current: 0,
            chain: Vec::new(),
            open: vec![usize::MAX; WRITERS as usize],
            reopen_at: 0,
            extra: number * 10 + WRITERS,
            cuts: 0,
        };
        let log = Self {
            directory: directory.to_owned(),
            name: name.to_owned(),
            scenario,
            state: Mutex::new(state),
            pen: Mutex::default(),
            stop: AtomicBool::new(false),
        };
        log.create(&mut log.lock(), "created");
        log
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("another thread of this log failed")
    }

    /// The path of the nth rotated file; of the log itself if 0.
    fn path(&self, nth: usize, extension: &str) -> PathBuf {
        match nth {
            0 => self.directory.join(&self.name),
            nth => self.directory.join(format!("{}.{nth}{extension}", self.name)),
        }
    }

    /// Writes lines until it is told to stop.
    pub(crate) fn write(&self, writer: u32, index: usize, mut dice: Dice) {
        let (mut seq, mut file) = (0, None);
        while !self.stop.load(Relaxed) {
            sleep(dice.between(1, 25));
            let pen = self.pen.lock().expect("another thread of this log failed");
            for _ in 0..dice.between(1, 30) {
                let id = LineId { writer, seq };
                let text = line::make(id, &mut dice);
                if self.scenario.untidy && dice.percent(1) {
                    let at = usize::try_from(dice.next()).unwrap_or(0) % text.len();
                    let pause = dice.between(1, 400);
                    self.write_in_halves(index, &mut file, id, text.as_bytes().split_at(at), pause);
                } else {
                    let mut state = self.lock();
                    self.append(&mut state, index, &mut file, text.as_bytes());
                    let body = state.files[state.open[index]];
                    state.model.wrote(body, id, now());
                }
                seq += 1;
            }
            drop(pen);
        }
    }

    fn write_in_halves(
        &self,
        index: usize,
        file: &mut Option<File>,
        id: LineId,
        (first, second): (&[u8], &[u8]),
        pause: Ms,
    ) {
        let mut state = self.lock();
        self.append(&mut state, index, file, first);
        let open = state.open[index];
        let body = state.files[open];
        drop(state);
        sleep(pause);
        let mut state = self.lock();
        // A line is finished where it was begun, whoever bears the name now.
        file.as_mut().expect("it is open").write_all(second).expect("cannot write a log");
        let after = state.files[open];
        if after == body && state.model.bodies[body].gone.is_none() {
            state.model.wrote(body, id, now());
        } else {
            state.model.tore(id, [first, second], now());
        }
    }

    /// Opens the log again if it is time to, and appends.
    fn append(&self, state: &mut State, index: usize, file: &mut Option<File>, text: &[u8]) {
        if file.is_none() || (state.open[index] != state.current && now() >= state.reopen_at) {
            *file = OpenOptions::new().append(true).open(self.path(0, "")).ok();
            state.open[index] = state.current;
        }
        file.as_mut().expect("it is open").write_all(text).expect("cannot write a log");
    }

    /// Rotates until it is told to stop.
    pub(crate) fn rotate(&self, mut dice: Dice) {
        let (low, high) = self.scenario.every;
        loop {
            // Now in quick succession, now seldom.
            let most = *dice.one_of(&[low, low * 3, high]);
            let until = now() + dice.between(low, most.clamp(low, high));
            while now() < until {
                if self.stop.load(Relaxed) {
                    return;
                }
                sleep(5);
            }
            self.cut(*dice.one_of(self.scenario.cuts), &mut dice).expect("cannot rotate");
        }
    }

    fn cut(&self, cut: Cut, dice: &mut Dice) -> io::Result<()> {
        match cut {
            Cut::Rename => self.rename(dice)?,
            Cut::Gzip | Cut::Zstd => {
                self.rename(dice)?;
                self.compress(cut, dice)?;
            }
            Cut::CopyTruncate => self.copy_truncate(dice)?,
            Cut::Truncate => self.truncate(&mut self.lock(), "after a truncate"),
            Cut::Regrow => self.regrow(dice)?,
            Cut::Recreate => {
                let mut state = self.lock();
                let at = now();
                fs::remove_file(self.path(0, ""))?;
                let body = state.files[state.current];
                state.model.end(body, at, Cause::Removed);
                state.reopen_at = 0;
                self.create(&mut state, "created anew");
            }
        }
        self.lock().cuts += 1;
        Ok(())
    }

    fn create(&self, state: &mut State, how: &str) {
        let path = self.path(0, "");
        let file = File::create_new(&path).expect("cannot create a log");
        let ino = file.metadata().expect("cannot stat a log").ino();
        let body = state.model.add(how.to_owned(), ino, now(), &self.name);
        state.files.push(body);
        state.current = state.files.len() - 1;
        if self.scenario.signed {
            let seq = state.model.written.get(&state.extra).map_or(0, Vec::len);
            let id = LineId { writer: state.extra, seq: u32::try_from(seq).unwrap_or(0) };
            let text = line::make(id, &mut Dice::new(seq as u64, "created"));
            (&file).write_all(text.as_bytes()).expect("cannot write a log");
            state.model.wrote(body, id, now());
        }
        self.begin(file);
    }

    fn begin(&self, mut file: File) {
        if self.scenario.header {
            file.write_all(line::header().as_bytes()).expect("cannot write a log");
        }
    }

    /// Makes `.1` free: the others move on, and the last one is removed.
    fn shift(&self, state: &mut State) -> io::Result<()> {
        if state.chain.len() >= self.scenario.keep
            && let Some((file, extension)) = state.chain.pop()
        {
            let at = now();
            fs::remove_file(self.path(state.chain.len() + 1, extension))?;
            let body = state.files[file];
            state.model.end(body, at, Cause::Removed);
        }
        for index in (0..state.chain.len()).rev() {
            let (file, extension) = state.chain[index];
            let to = self.path(index + 2, extension);
            fs::rename(self.path(index + 1, extension), &to)?;
            let body = state.files[file];
            state.model.rename(body, now(), &name_of(&to));
        }
        Ok(())
    }

    fn rename(&self, dice: &mut Dice) -> io::Result<()> {
        let mut state = self.lock();
        self.shift(&mut state)?;
        let (file, to) = (state.current, self.path(1, ""));
        fs::rename(self.path(0, ""), &to)?;
        let body = state.files[file];
        state.model.rename(body, now(), &name_of(&to));
        state.chain.insert(0, (file, ""));
        self.create(&mut state, "created by a rotation");
        let late = self.scenario.untidy && dice.percent(50);
        let most = self.scenario.every.0.max(10);
        state.reopen_at = if late { now() + dice.between(0, most) } else { 0 };
        Ok(())
    }

    /// What `gzip app.log.1` does: the archive grows under its name, and then the file is removed.
    /// Writers that have it open are waited for, as `delaycompress` does.
    fn compress(&self, cut: Cut, dice: &mut Dice) -> io::Result<()> {
        let is_free = || {
            let state = self.lock();
            !state.open.contains(&state.chain[0].0)
        };
        if !wait(3000, is_free) {
            return Ok(());
        }
        let from = self.path(1, "");
        let mut bytes = Vec::new();
        File::open(&from)?.read_to_end(&mut bytes)?;
        let (extension, packed) = match cut {
            Cut::Zstd => (".zst", zstd(&bytes)),
            _ => (".gz", gzip(&bytes, dice)?),
        };
        let to = self.path(1, extension);
        let mut archive = File::create_new(&to)?;
        for piece in packed.chunks(packed.len() / 4 + 1) {
            archive.write_all(piece)?;
            sleep(dice.between(0, 8));
        }
        archive.set_modified(fs::metadata(&from)?.modified()?)?;
        let ino = archive.metadata()?.ino();
        let mut state = self.lock();
        let body = state.files[state.chain[0].0];
        let copy = state.model.copy(body, "an archive", ino, now(), &name_of(&to));
        let at = now();
        fs::remove_file(&from)?;
        state.model.end(body, at, Cause::Removed);
        state.files.push(copy);
        state.chain[0] = (state.files.len() - 1, extension);
        Ok(())
    }

    fn copy_truncate(&self, dice: &mut Dice) -> io::Result<()> {
        let mut state = self.lock();
        self.shift(&mut state)?;
        let (from, to) = (self.path(0, ""), self.path(1, ""));
        let (mut source, mut target) = (File::open(&from)?, File::create_new(&to)?);
        let mut buffer = vec![0; 64 << 10];
        loop {
            let read = source.read(&mut buffer)?;
            if read == 0 {
                break;
            }
            target.write_all(&buffer[..read])?;
            sleep(dice.between(0, 2));
        }
        let (body, ino) = (state.files[state.current], target.metadata()?.ino());
        let copy = state.model.copy(body, "a copy", ino, now(), &name_of(&to));
        state.files.push(copy);
        let file = state.files.len() - 1;
        state.chain.insert(0, (file, ""));
        if dice.percent(20) {
            // What is written between the copy and the cut is lost by the rotation itself.
            drop(state);
            sleep(dice.between(1, 5));
            state = self.lock();
        }
        self.truncate(&mut state, "after a copytruncate");
        Ok(())
    }

    fn truncate(&self, state: &mut State, how: &str) {
        let file = OpenOptions::new().append(true).open(self.path(0, "")).expect("no log");
        let at = now();
        file.set_len(0).expect("cannot truncate");
        let (old, current) = (state.files[state.current], state.current);
        state.model.end(old, at, Cause::Truncated);
        let ino = state.model.bodies[old].ino;
        state.files[current] = state.model.add(how.to_owned(), ino, now(), &self.name);
        self.begin(file);
    }

    /// The file is cut, and is longer than before when the next one looks.
    fn regrow(&self, dice: &mut Dice) -> io::Result<()> {
        let mut state = self.lock();
        let before = fs::metadata(self.path(0, ""))?.len();
        self.truncate(&mut state, "after a truncate, grown at once");
        let mut file = OpenOptions::new().append(true).open(self.path(0, ""))?;
        let body = state.files[state.current];
        let mut text = String::new();
        while (text.len() as u64) < before.min(1 << 20) + 100 {
            let seq = state.model.written.get(&state.extra).map_or(0, Vec::len);
            let id = LineId { writer: state.extra, seq: u32::try_from(seq).unwrap_or(0) };
            text.push_str(&line::make(id, dice));
            state.model.wrote(body, id, now());
        }
        file.write_all(text.as_bytes())
    }
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn gzip(bytes: &[u8], dice: &mut Dice) -> io::Result<Vec<u8>> {
    // Now and then in two members, as `cat a.gz b.gz` makes.
    let at = if dice.percent(30) { bytes.len() / 2 } else { bytes.len() };
    let mut packed = Vec::new();
    for part in [&bytes[..at], &bytes[at..]].into_iter().filter(|part| !part.is_empty()) {
        let mut encoder = flate2::write::GzEncoder::new(packed, flate2::Compression::fast());
        encoder.write_all(part)?;
        packed = encoder.finish()?;
    }
    if bytes.is_empty() {
        packed = flate2::write::GzEncoder::new(packed, flate2::Compression::fast()).finish()?;
    }
    Ok(packed)
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest)
}
