//! Files of a layer, written on several threads while the layer is read on.
//!
//! Small files go to the threads in batches, so that waking a thread does not cost more than the file; large ones are
//! streamed to one of them block by block. What is on its way is bounded in bytes. Each file is created, written, looked
//! at once and closed, and everything that is ever asked of it later is noted on the way.

mod file;
mod in_flight;

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use bytes::Bytes;
use crossbeam_channel::{Receiver, Sender, unbounded};

use super::archive::Body;
use super::error::UnpackError;
use super::notes::Written;
pub(super) use file::WriteError;
use file::{Granted, Scratch, Writing};
use in_flight::{Held, InFlight};

/// More threads than this get into each other's way in one directory.
const MOST_THREADS: usize = 8;

/// What a batch holds at most, in bytes and in files. Larger files are streamed.
const BATCH: usize = 256 * 1024;
const BATCH_FILES: usize = 64;

/// Bytes that are on their way to the threads at most. Each may keep a block of up to 1 MiB from being used again.
const IN_FLIGHT: usize = 8 << 20;

/// What a file in a batch counts for besides its bytes.
const PER_FILE: usize = 1024;

/// Directories in which the files of a batch lie at most, and what each counts for: it is held open until its files are
/// written, and a process may have a thousand descriptors for all the packages that it unpacks.
const BATCH_DIRECTORIES: usize = 16;
const PER_DIRECTORY: usize = 256 * 1024;

/// A file to be made.
pub(super) struct NewFile {
    /// What it is called in [`Done`].
    pub(super) node: u32,
    pub(super) directory: Arc<OwnedFd>,
    pub(super) base: Arc<[u8]>,
    pub(super) executable: bool,
}

/// What became of a file.
pub(super) struct Done {
    pub(super) node: u32,
    pub(super) result: Result<Written, WriteError>,
}

/// The threads, or the calling thread alone.
pub(super) struct Writers {
    /// How many may be started.
    threads: usize,
    granted: Granted,
    batch: Batch,
    pool: Option<Pool>,
    /// Files handed over of which nothing was heard yet.
    outstanding: usize,
    /// What the calling thread did itself.
    own: Vec<Done>,
    scratch: Scratch,
}

/// Small files with their contents, one after the other.
#[derive(Default)]
struct Batch {
    files: Vec<(NewFile, usize)>,
    contents: Vec<u8>,
    /// How many descriptors of directories the files hold.
    directories: usize,
}

enum Job {
    Batch(Batch, Held),
    Stream(NewFile, Receiver<(Bytes, Held)>),
}

impl Writers {
    /// With 0 or 1 `threads` everything is done on the calling thread. `granted` is what is left of mode 0777 for a new
    /// file.
    pub(super) fn new(threads: usize, granted: u32) -> Self {
        Writers {
            threads: if threads > 1 { threads.min(MOST_THREADS) } else { 0 },
            granted: Granted(granted),
            batch: Batch::default(),
            pool: None,
            outstanding: 0,
            own: Vec::new(),
            scratch: Scratch::default(),
        }
    }

    /// Takes the contents of a file of `size` bytes from `body` and sees to it that it is written. What came of it is
    /// said by [`Writers::done`] or [`Writers::wait`].
    ///
    /// # Errors
    /// Those of `body`.
    pub(super) fn write(&mut self, file: NewFile, size: u64, body: &mut dyn Body) -> Result<(), UnpackError> {
        if size > BATCH as u64 {
            return self.stream(file, body);
        }
        let start = self.batch.contents.len();
        loop {
            let chunk = body.chunk()?;
            if chunk.is_empty() {
                break;
            }
            self.batch.contents.extend_from_slice(chunk);
            let length = chunk.len();
            body.consume(length);
        }
        let length = self.batch.contents.len() - start;
        self.batch.push(file, length);
        self.outstanding += 1;
        if self.batch.is_full() {
            self.start();
            self.hand_over();
        }
        Ok(())
    }

    fn stream(&mut self, file: NewFile, body: &mut dyn Body) -> Result<(), UnpackError> {
        self.start();
        self.outstanding += 1;
        let Some(pool) = &self.pool else {
            let node = file.node;
            let mut writing = Writing::create(&file, self.granted, &mut self.scratch);
            loop {
                let bytes = body.take()?;
                if bytes.is_empty() {
                    self.own.push(Done { node, result: writing.and_then(Writing::finish) });
                    return Ok(());
                }
                writing = writing.and_then(|writing| writing.write(&bytes));
            }
        };
        let (pieces, receiver) = unbounded();
        pool.send(Job::Stream(file, receiver));
        loop {
            let bytes = body.take()?;
            if bytes.is_empty() {
                return Ok(());
            }
            let held = InFlight::take(&pool.in_flight, bytes.len());
            // Nobody listens any more if the file could not be written: that is said when it is asked for.
            let _ = pieces.send((bytes, held));
        }
    }

    /// Starts the threads, unless they run or there are to be none, or the system gives none.
    fn start(&mut self) {
        if self.pool.is_none() && self.threads > 0 {
            self.pool = Pool::start(self.threads, self.granted);
        }
    }

    /// Gives the batch to the threads, or writes it here if there are none.
    fn hand_over(&mut self) {
        let batch = std::mem::take(&mut self.batch);
        match &self.pool {
            Some(pool) => {
                let held = InFlight::take(&pool.in_flight, batch.weight());
                pool.send(Job::Batch(batch, held));
            }
            None => batch.write(self.granted, &mut self.scratch, &mut self.own),
        }
    }

    /// What became of some files, if anything is known by now.
    pub(super) fn done(&mut self) -> Vec<Done> {
        let mut done = std::mem::take(&mut self.own);
        if let Some(pool) = &mut self.pool {
            for more in pool.done.try_iter() {
                pool.is_broken |= more.is_none();
                done.extend(more.into_iter().flatten());
            }
        }
        self.outstanding -= done.len();
        done
    }

    /// Waits until all files that were handed over are written or have failed. False if a thread is gone that should have
    /// said what became of its files.
    pub(super) fn wait(&mut self, mut done: impl FnMut(Done)) -> bool {
        self.hand_over();
        self.done().into_iter().for_each(&mut done);
        while self.outstanding > 0 {
            let Some(pool) = self.pool.as_mut().filter(|pool| !pool.is_broken) else { return false };
            let Ok(Some(more)) = pool.done.recv() else {
                pool.is_broken = true;
                return false;
            };
            self.outstanding -= more.len();
            more.into_iter().for_each(&mut done);
        }
        true
    }
}

impl Batch {
    /// Adds a file whose contents are the last `length` bytes.
    fn push(&mut self, file: NewFile, length: usize) {
        let last = self.files.last().map(|(file, _)| &file.directory);
        self.directories += usize::from(last.is_none_or(|last| !Arc::ptr_eq(last, &file.directory)));
        self.files.push((file, length));
    }

    fn is_full(&self) -> bool {
        self.contents.len() >= BATCH
            || self.files.len() >= BATCH_FILES
            || self.directories >= BATCH_DIRECTORIES
    }

    /// What it counts for while it is on its way.
    fn weight(&self) -> usize {
        self.contents.len() + PER_FILE * self.files.len() + PER_DIRECTORY * self.directories
    }

    fn write(self, granted: Granted, scratch: &mut Scratch, done: &mut Vec<Done>) {
        let mut rest = &self.contents[..];
        for (file, length) in self.files {
            let (content, after) = rest.split_at(length);
            rest = after;
            let writing = Writing::create(&file, granted, scratch);
            let result = writing.and_then(|writing| writing.write(content)).and_then(Writing::finish);
            done.push(Done { node: file.node, result });
        }
    }
}

/// Running threads. Dropping it makes them leave what they have not begun, and waits for them.
struct Pool {
    /// Gone when the threads are to end.
    jobs: Option<Sender<Job>>,
    /// What became of each job; `None` from a thread that panicked.
    done: Receiver<Option<Vec<Done>>>,
    in_flight: Arc<InFlight>,
    abandoned: Arc<AtomicBool>,
    /// Whether a thread has panicked: of its files nothing will be heard.
    is_broken: bool,
    threads: Vec<JoinHandle<()>>,
}

impl Pool {
    fn start(threads: usize, granted: Granted) -> Option<Self> {
        let (jobs, waiting) = unbounded::<Job>();
        let (results, done) = unbounded();
        let abandoned = Arc::<AtomicBool>::default();
        let threads: Vec<_> = (0..threads)
            .map_while(|_| {
                let (waiting, results, abandoned) =
                    (waiting.clone(), results.clone(), Arc::clone(&abandoned));
                let work = move || {
                    let results = Results(results);
                    work(&waiting, &results, &abandoned, granted);
                };
                thread::Builder::new().name("write".to_owned()).spawn(work).ok()
            })
            .collect();
        let in_flight = InFlight::new(IN_FLIGHT);
        (!threads.is_empty()).then(|| Pool {
            jobs: Some(jobs),
            done,
            in_flight,
            abandoned,
            is_broken: false,
            threads,
        })
    }

    /// If no thread is left, that is noticed when one waits for what became of the job.
    fn send(&self, job: Job) {
        if let Some(jobs) = &self.jobs {
            let _ = jobs.send(job);
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.abandoned.store(true, Ordering::Relaxed);
        self.jobs = None;
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// Where a thread says what became of its files. The others live on if it panics: without a word about it, that of its
/// files would be waited for without end.
struct Results(Sender<Option<Vec<Done>>>);

impl Drop for Results {
    fn drop(&mut self) {
        if thread::panicking() {
            let _ = self.0.send(None);
        }
    }
}

fn work(jobs: &Receiver<Job>, results: &Results, abandoned: &AtomicBool, granted: Granted) {
    let mut scratch = Scratch::default();
    for job in jobs {
        if abandoned.load(Ordering::Relaxed) {
            continue;
        }
        let mut done = Vec::new();
        match job {
            Job::Batch(batch, held) => {
                batch.write(granted, &mut scratch, &mut done);
                drop(held);
            }
            Job::Stream(file, pieces) => {
                let node = file.node;
                let writing = Writing::create(&file, granted, &mut scratch);
                let result = writing.and_then(|mut writing| {
                    for (bytes, held) in &pieces {
                        writing = writing.write(&bytes)?;
                        drop((bytes, held));
                    }
                    writing.finish()
                });
                done.push(Done { node, result });
            }
        }
        // Whoever gave the job may have failed meanwhile.
        let _ = results.0.send(Some(done));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_panics_is_not_waited_for() {
        let mut writers = Writers::new(2, 0o777);
        writers.start();
        let pool = writers.pool.as_ref().unwrap();
        let directory = Arc::new(OwnedFd::from(std::fs::File::open("/").unwrap()));
        let file = NewFile { node: 0, directory, base: Arc::from(&b""[..]), executable: false };
        // Of a length that the contents do not have.
        let batch = Batch { files: vec![(file, 1)], ..Batch::default() };
        pool.send(Job::Batch(batch, InFlight::take(&pool.in_flight, 0)));
        writers.outstanding += 1;
        assert!(!writers.wait(|_| {}));
        assert!(!writers.wait(|_| {}), "nor the next time");
    }
}
