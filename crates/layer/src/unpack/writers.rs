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
        self.batch.files.push((file, self.batch.contents.len() - start));
        self.outstanding += 1;
        if self.batch.contents.len() >= BATCH || self.batch.files.len() >= BATCH_FILES {
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
                let held =
                    InFlight::take(&pool.in_flight, batch.contents.len() + PER_FILE * batch.files.len());
                pool.send(Job::Batch(batch, held));
            }
            None => batch.write(self.granted, &mut self.scratch, &mut self.own),
        }
    }

    /// What became of some files, if anything is known by now.
    pub(super) fn done(&mut self) -> Vec<Done> {
        let mut done = std::mem::take(&mut self.own);
        done.extend(self.pool.iter().flat_map(|pool| pool.done.try_iter().flatten()));
        self.outstanding -= done.len();
        done
    }

    /// Waits until all files that were handed over are written or have failed. False if a thread is gone that should have
    /// said what became of its files.
    pub(super) fn wait(&mut self, mut done: impl FnMut(Done)) -> bool {
        self.hand_over();
        self.done().into_iter().for_each(&mut done);
        while self.outstanding > 0 {
            let Some(Ok(more)) = self.pool.as_ref().map(|pool| pool.done.recv()) else { return false };
            self.outstanding -= more.len();
            more.into_iter().for_each(&mut done);
        }
        true
    }
}

impl Batch {
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
    done: Receiver<Vec<Done>>,
    in_flight: Arc<InFlight>,
    abandoned: Arc<AtomicBool>,
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
                let work = move || work(&waiting, &results, &abandoned, granted);
                thread::Builder::new().name("write".to_owned()).spawn(work).ok()
            })
            .collect();
        let in_flight = InFlight::new(IN_FLIGHT);
        (!threads.is_empty()).then(|| Pool { jobs: Some(jobs), done, in_flight, abandoned, threads })
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

fn work(jobs: &Receiver<Job>, results: &Sender<Vec<Done>>, abandoned: &AtomicBool, granted: Granted) {
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
        let _ = results.send(done);
    }
}
