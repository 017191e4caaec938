//! A lookup that runs outside of the VM's schedulers and answers its owner exactly once.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use docker_discovery::Error;
use futures_util::FutureExt;
use futures_util::future::{AbortHandle, Abortable, Aborted};
use rustler::{Encoder, Env, LocalPid, Monitor, OwnedEnv, Resource, ResourceArc, Term};

use crate::atoms;
use crate::encode;
use crate::runtime;

/// How many jobs may be under way; one more is answered `busy`. A node with 1,000 peers that all
/// come back at once stays far below.
const MAX_JOBS: usize = 8192;

static JOBS: AtomicUsize = AtomicUsize::new(0);

/// The owner's end of a job. The work is aborted when the owner dies, when this is garbage
/// collected (whose answer is then `cancelled`) and by [`Job::cancel`].
pub(crate) struct Job {
    work: AbortHandle,
    wanted: Wanted,
}

impl Job {
    /// Aborts the work. After this no answer is sent: the owner's mailbox has it already, or never
    /// will.
    pub(crate) fn cancel(&self) {
        *self.wanted.lock() = false;
        self.work.abort();
    }
}

/// Whether the owner wants its answer. Locked while that is sent.
#[derive(Clone)]
struct Wanted(Arc<Mutex<bool>>);

impl Wanted {
    fn lock(&self) -> MutexGuard<'_, bool> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[rustler::resource_impl]
impl Resource for Job {
    const IMPLEMENTS_DOWN: bool = true;

    // This runs on a scheduler: abort only wakes our thread.
    fn down<'a>(&'a self, _env: Env<'a>, _pid: LocalPid, _monitor: Monitor) {
        self.work.abort();
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        self.work.abort();
    }
}

/// Counts a job for as long as it lives, however it ends.
struct Slot;

impl Slot {
    fn take() -> Result<Self, Error> {
        let taken = JOBS.fetch_add(1, Ordering::Relaxed);
        let slot = Slot;
        if taken < MAX_JOBS {
            Ok(slot)
        } else {
            Err(Error::Busy)
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        JOBS.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Starts `work` for the calling process and returns at once. The answer is the message
/// `{epmd_docker_nif, Tag, {ok, Value} | {error, Reason}}`.
///
/// # Errors
/// `Busy` where too many jobs are under way or the runtime's thread cannot be started.
pub(crate) fn submit<T, F>(env: Env<'_>, tag: Term<'_>, work: F) -> Result<ResourceArc<Job>, Error>
where
    T: Encode + Send + 'static,
    F: Future<Output = Result<T, Error>> + Send + 'static,
{
    let slot = Slot::take()?;
    let runtime = runtime::handle().map_err(|_| Error::Busy)?;
    let owner = env.pid();
    let wanted = Wanted(Arc::new(Mutex::new(true)));
    let reply = Reply::new(owner, tag, wanted.clone());
    let (handle, registration) = AbortHandle::new_pair();
    let job = ResourceArc::new(Job {
        work: handle,
        wanted,
    });
    // No monitor: the owner is already dead, and dropping the job ends the work.
    env.monitor(&job, &owner);
    // A panic and an abort are answered too. One task does it all: each task that is spawned from
    // here wakes our thread by a system call of its own.
    let work = Abortable::new(AssertUnwindSafe(work).catch_unwind(), registration);
    runtime.spawn(async move {
        let result = match work.await {
            Ok(Ok(result)) => result,
            Ok(Err(_panic)) => Err(Error::BadResponse(
                "internal error: a lookup panicked".into(),
            )),
            Err(Aborted) => Err(Error::Cancelled),
        };
        drop(slot);
        reply.send(&result);
    });
    Ok(job)
}

/// What the answer of a job can be made of.
pub(crate) trait Encode {
    /// The term for `{ok, Term}`.
    fn to_term<'a>(&self, env: Env<'a>) -> Term<'a>;
}

/// The way back to the owner, with the tag that it gave. It is consumed by its one use.
struct Reply {
    env: OwnedEnv,
    tag: rustler::env::SavedTerm,
    owner: LocalPid,
    wanted: Wanted,
}

impl Reply {
    fn new(owner: LocalPid, tag: Term<'_>, wanted: Wanted) -> Self {
        let env = OwnedEnv::new();
        let tag = env.save(tag);
        Reply {
            env,
            tag,
            owner,
            wanted,
        }
    }

    /// Only ever called on our own thread: `send_and_clear` panics on a thread of the VM.
    fn send<T: Encode>(mut self, result: &Result<T, Error>) {
        let (owner, tag) = (self.owner, self.tag);
        // The owner's own `cancel` waits for this at most, and this waits for nobody.
        let wanted = self.wanted.lock();
        if !*wanted {
            return;
        }
        // An error here means that the owner is dead and nobody waits.
        let _ = self.env.send_and_clear(&owner, |env| {
            let result = match result {
                Ok(value) => (atoms::ok(), value.to_term(env)).encode(env),
                Err(error) => (atoms::error(), encode::reason(env, error)).encode(env),
            };
            (atoms::epmd_docker_nif(), tag.load(env), result).encode(env)
        });
    }
}
